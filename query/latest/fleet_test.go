package latest_test

import (
	"testing"
	"time"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// fleet is a service's table with the history beneath it, as the writer uses the two.
type fleet struct {
	t       *testing.T
	db      *schema.DB
	clock   *schematest.Clock
	table   *latest.Table
	history map[schema.PointKey]schema.OwnedPoint // the reference: the row of each identity that counts
	session []schema.ID
}

func newFleet(t *testing.T, sessions int) *fleet {
	f := &fleet{t: t, db: schematest.Open(t), clock: schematest.NewClock(time.UnixMilli(querytest.May2026)), history: make(map[schema.PointKey]schema.OwnedPoint)}
	for range sessions {
		s := querytest.NewSession()
		querytest.SaveSession(t, f.db, s)
		f.session = append(f.session, s.ID)
	}
	f.restart()
	return f
}

// restart forgets all that is in memory.
func (f *fleet) restart() {
	f.t.Helper()
	f.table = querytest.Load(f.t, f.db, f.clock.Now)
}

// receive stamps points as received now.
func (f *fleet) receive(points ...schema.OwnedPoint) []schema.OwnedPoint {
	for i := range points {
		points[i].ReceivedAt = f.clock.Now().UnixMilli()
	}
	return points
}

// store writes points to the history, which is where a crash may leave them.
func (f *fleet) store(points []schema.OwnedPoint) {
	f.t.Helper()
	querytest.Insert(f.t, f.db, points...)
	for _, p := range points {
		f.history[schema.PointKey{SessionID: p.SessionID, Timestamp: p.Timestamp}] = p
	}
}

func (f *fleet) flush() {
	f.t.Helper()
	if err := f.table.Flush(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) beginMark(ids ...schema.ID) {
	f.t.Helper()
	if err := f.table.BeginMark(f.t.Context(), ids); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) endMark(ids ...schema.ID) {
	f.t.Helper()
	newest, err := f.db.NewestPoints(f.t.Context(), ids)
	if err == nil {
		err = f.table.EndMark(f.t.Context(), newest)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// marked returns the next version of a stored point with a mark.
func (f *fleet) marked(id schema.ID, seconds int64, outlier schema.Outlier) schema.OwnedPoint {
	p := f.history[schema.PointKey{SessionID: id, Timestamp: querytest.May2026 + seconds*1000}]
	return querytest.Version(p, p.Version+1, outlier)
}

// check compares what every session shows with the history.
func (f *fleet) check() {
	f.t.Helper()
	shown := make(map[schema.ID]*schema.OwnedPoint)
	newest := make(map[schema.ID]int64)
	for key, p := range f.history {
		newest[key.SessionID] = max(newest[key.SessionID], key.Timestamp)
		if best := shown[key.SessionID]; p.Outlier == schema.NotOutlier && (best == nil || best.Timestamp < p.Timestamp) {
			shown[key.SessionID] = &p
		}
	}
	for _, id := range f.session {
		querytest.WantShown(f.t, f.table, id, shown[id])
		if got, known := f.table.LastKnown(id, new(schema.DataPoint)); known != (newest[id] != 0) || got != newest[id] {
			f.t.Errorf("the newest timestamp is %d, %v; want %d", got, known, newest[id])
		}
	}
}
