package query_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/query"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// clock is a clock that only a test moves.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.UnixMilli(may2026).UTC()} }

func (c *clock) Now() time.Time { return c.now }

func (c *clock) advance(by time.Duration) { c.now = c.now.Add(by) }

// fleet is a service's table with the history beneath it, as the writer uses the two.
type fleet struct {
	t       *testing.T
	db      *schema.DB
	clock   *clock
	table   *query.LastSeen
	history map[schema.PointKey]schema.OwnedPoint // the reference: the row of each identity that counts
	session []schema.ID
}

func newFleet(t *testing.T, sessions int) *fleet {
	f := &fleet{t: t, db: schematest.Open(t), clock: newClock(), history: make(map[schema.PointKey]schema.OwnedPoint)}
	for range sessions {
		s := newSession()
		saveSession(t, f.db, s)
		f.session = append(f.session, s.ID)
	}
	f.restart()
	return f
}

// restart forgets all that is in memory.
func (f *fleet) restart() {
	f.t.Helper()
	f.table = load(f.t, f.db, f.clock.Now)
}

// receive stamps points as received now.
func (f *fleet) receive(points ...schema.OwnedPoint) []schema.OwnedPoint {
	for i := range points {
		points[i].ReceivedAt = f.clock.now.UnixMilli()
	}
	return points
}

// store writes points to the history, which is where a crash may leave them.
func (f *fleet) store(points []schema.OwnedPoint) {
	f.t.Helper()
	insert(f.t, f.db, points...)
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
	p := f.history[schema.PointKey{SessionID: id, Timestamp: may2026 + seconds*1000}]
	return version(p, p.Version+1, outlier)
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
		wantShown(f.t, f.table, id, shown[id])
		if got, known := f.table.NewestTimestamp(id); known != (newest[id] != 0) || got != newest[id] {
			f.t.Errorf("the newest timestamp is %d, %v; want %d", got, known, newest[id])
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	const outlier = schema.OutlierByUser

	t.Run("shows what was saved, and what was received since", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 4)
		points := f.receive(at(f.session[0], 1), at(f.session[1], 1), at(f.session[2], 2))
		f.store(points)
		f.table.Publish(points)
		f.flush()
		f.clock.advance(time.Hour)
		f.store(f.receive(at(f.session[0], 5), at(f.session[2], 1), at(f.session[3], 9))) // newer, late, new
		f.restart()
		f.check()
		f.flush()
		f.restart()
		f.check()
	})
	t.Run("shows the history when nothing was ever saved", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 2)
		f.store(f.receive(at(f.session[0], 1), at(f.session[0], 2), version(at(f.session[0], 3), 1, outlier)))
		f.restart()
		f.check()
	})
	t.Run("shows points whose insert was on its way during a save", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 2)
		slow := f.receive(at(f.session[0], 5))
		f.clock.advance(30 * time.Second)
		quick := f.receive(at(f.session[1], 5))
		f.store(quick)
		f.table.Publish(quick)
		f.flush()
		f.store(slow)
		f.restart()
		f.check()
	})
	t.Run("believes the history after a mark that was cut short", func(t *testing.T) {
		t.Parallel()
		for name, steps := range map[string]func(f *fleet, id schema.ID){
			"before it was written": func(f *fleet, id schema.ID) { f.beginMark(id) },
			"before it was shown": func(f *fleet, id schema.ID) {
				f.beginMark(id)
				f.store([]schema.OwnedPoint{f.marked(id, 2, outlier)})
			},
			"before it was shown, with a save in between": func(f *fleet, id schema.ID) {
				f.beginMark(id)
				newer := f.receive(at(id, 1))
				f.store(newer)
				f.table.Publish(newer)
				f.flush()
				f.store([]schema.OwnedPoint{f.marked(id, 2, outlier)})
				f.flush()
			},
			"before it was saved": func(f *fleet, id schema.ID) {
				f.beginMark(id)
				f.store([]schema.OwnedPoint{f.marked(id, 2, outlier)})
				f.endMark(id)
				f.check()
			},
			"after it was saved": func(f *fleet, id schema.ID) {
				f.beginMark(id)
				f.store([]schema.OwnedPoint{f.marked(id, 2, outlier)})
				f.endMark(id)
				f.flush()
				f.check()
			},
			"of every point of the session": func(f *fleet, id schema.ID) {
				f.beginMark(id)
				f.store([]schema.OwnedPoint{f.marked(id, 2, outlier), f.marked(id, 0, outlier)})
			},
			"of a session without points": func(f *fleet, id schema.ID) { f.beginMark(f.session[1]) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFleet(t, 2)
				id := f.session[0]
				points := f.receive(at(id, 0), at(id, 2))
				f.store(points)
				f.table.Publish(points)
				f.flush()
				f.clock.advance(time.Hour) // the mark keeps the time of receipt, so no replay shows it
				steps(f, id)
				f.restart()
				f.check()
				f.flush()
				f.restart()
				f.check()
			})
		}
	})
	t.Run("knows who may see a session", func(t *testing.T) {
		t.Parallel()
		db := schematest.Open(t)
		s := newSession()
		yes := true
		s.Public, s.SharedWithOrgIDs = &yes, []string{"org_b"}
		saveSession(t, db, s)
		table := load(t, db, time.Now)
		var p schema.DataPoint
		text := []byte(s.ID.String())
		for org, want := range map[string]query.Status{"org_a": query.NoPoint, "org_b": query.NoPoint, "org_c": query.NotFound} {
			if got := table.Lookup(text, org, &p); got != want {
				t.Errorf("%s: got %v, want %v", org, got, want)
			}
		}
		if got := table.LookupPublic(text, &p); got != query.NoPoint {
			t.Errorf("nobody: got %v", got)
		}
	})
	t.Run("reports its progress", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 3)
		points := f.receive(at(f.session[0], 1), at(f.session[1], 1))
		f.store(points)
		f.table.Publish(points)
		f.flush()
		f.beginMark(f.session[0])
		var last query.LoadProgress
		table := query.NewLastSeen(f.db, f.clock.Now)
		if err := table.Load(t.Context(), func(p query.LoadProgress) { last = p }); err != nil {
			t.Fatal(err)
		}
		if want := (query.LoadProgress{Sessions: 3, Checkpoints: 2, Replayed: 2, Recomputed: 1}); last != want {
			t.Errorf("got %+v, want %+v", last, want)
		}
	})
	t.Run("fails when it is given up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := query.NewLastSeen(schematest.Open(t), time.Now).Load(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestLoadAfterAnyCrash lets a fleet report, marks and unmarks points and saves, all at random, and
// restarts the service at random moments, in the middle of a mark or of an insert too.
func TestLoadAfterAnyCrash(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 3))
		f := newFleet(t, 5)
		crashed := func() bool {
			if random.IntN(6) > 0 {
				return false
			}
			f.restart()
			f.check()
			return true
		}
		for range 60 {
			f.clock.advance(time.Duration(random.IntN(40)) * time.Second)
			switch random.IntN(4) {
			case 0, 1:
				points := f.receive(f.randomPoints(random)...)
				if random.IntN(3) == 0 {
					f.clock.advance(time.Duration(random.IntN(30)) * time.Second)
					f.flush()
				}
				f.store(points)
				if !crashed() {
					f.table.Publish(points)
				}
			case 2:
				f.randomMark(random, crashed)
			case 3:
				f.flush()
			}
			if !t.Failed() && !crashed() {
				f.check()
			}
			if t.Failed() {
				t.Fatalf("with seed %d", seed)
			}
		}
	}
}

// randomPoints are new, late and replaced ones, a group of the writer's.
func (f *fleet) randomPoints(random *rand.Rand) []schema.OwnedPoint {
	points := make(map[schema.PointKey]schema.OwnedPoint)
	for range 1 + random.IntN(8) {
		p := at(f.session[random.IntN(len(f.session))], random.Int64N(40))
		key := schema.PointKey{SessionID: p.SessionID, Timestamp: p.Timestamp}
		if stored, ok := f.history[key]; ok {
			p = version(p, stored.Version+1, stored.Outlier)
			p.Latitude = random.Int32()
		}
		points[key] = p
	}
	var group []schema.OwnedPoint
	for _, p := range points {
		group = append(group, p)
	}
	return group
}

func (f *fleet) randomMark(random *rand.Rand, crashed func() bool) {
	var ids []schema.ID
	var marks []schema.OwnedPoint
	for key, p := range f.history {
		if random.IntN(4) == 0 {
			marks = append(marks, version(p, p.Version+1, schema.Outlier(random.UintN(2))))
			if !slices.Contains(ids, key.SessionID) {
				ids = append(ids, key.SessionID)
			}
		}
	}
	if len(marks) == 0 {
		return
	}
	f.beginMark(ids...)
	if crashed() {
		return
	}
	f.store(marks)
	if random.IntN(2) == 0 {
		f.flush()
	}
	if !crashed() {
		f.endMark(ids...)
	}
}

func TestEndMarkKeepsWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	id := f.session[0]
	points := f.receive(at(id, 1))
	f.store(points)
	f.table.Publish(points)
	f.beginMark(id)
	f.store([]schema.OwnedPoint{f.marked(id, 1, schema.OutlierByUser)})
	newest, err := f.db.NewestPoints(t.Context(), []schema.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	points = f.receive(at(id, 2))
	f.store(points)
	f.table.Publish(points)
	if err := f.table.EndMark(t.Context(), newest); err != nil {
		t.Fatal(err)
	}
	f.check()
}

func TestFlush(t *testing.T) {
	t.Parallel()
	saved := func(t *testing.T, db *schema.DB) map[schema.ID]int64 {
		t.Helper()
		seconds := make(map[schema.ID]int64)
		if err := db.LoadCheckpoints(t.Context(), func(c schema.Checkpoint) {
			seconds[c.Point.SessionID] = (c.Point.Timestamp - may2026) / 1000
		}); err != nil {
			t.Fatal(err)
		}
		return seconds
	}
	watermark := func(t *testing.T, db *schema.DB) int64 {
		t.Helper()
		state, err := db.LastSeenState(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return state.Watermark
	}

	t.Run("saves what was published before it was called, however many call", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 0)
		ids := make([]schema.ID, 16)
		failures := make(chan error, len(ids))
		for i := range ids {
			ids[i] = schema.NewID()
			go func() {
				var failure error
				for second := range int64(10) {
					f.table.Publish([]schema.OwnedPoint{at(ids[i], second)})
					failure = errors.Join(failure, f.table.Flush(context.Background()))
				}
				failures <- failure
			}()
		}
		for range ids {
			if err := <-failures; err != nil {
				t.Fatal(err)
			}
		}
		want := make(map[schema.ID]int64)
		for _, id := range ids {
			want[id] = 9
		}
		if diff := cmp.Diff(want, saved(t, f.db)); diff != "" {
			t.Errorf("saved seconds differ (- want, + got):\n%s", diff)
		}
	})
	t.Run("saves many sessions, the watermark with the last", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 0)
		points := make([]schema.OwnedPoint, 120_000)
		for i := range points {
			points[i] = at(schema.NewID(), 1)
		}
		f.table.Publish(points)
		f.flush()
		if n := len(saved(t, f.db)); n != len(points) {
			t.Errorf("%d sessions were saved, want %d", n, len(points))
		}
		if got := watermark(t, f.db); got != may2026 {
			t.Errorf("the watermark is %d, want %d", got, may2026)
		}
	})
	t.Run("keeps what it could not save, and the watermark", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 0)
		id := schema.NewID()
		f.table.Publish([]schema.OwnedPoint{at(id, 1)})
		f.flush()
		f.clock.advance(time.Hour)
		f.table.Publish([]schema.OwnedPoint{at(id, 2)})
		breakTable(t, f.db, "session_by_device_last_seen", func() {
			if err := f.table.Flush(t.Context()); !errors.Is(err, query.ErrUnavailable) {
				t.Errorf("the error is %v, want %v", err, query.ErrUnavailable)
			}
			if err := f.table.BeginMark(t.Context(), []schema.ID{id}); !errors.Is(err, query.ErrUnavailable) {
				t.Errorf("the error of a mark is %v, want %v", err, query.ErrUnavailable)
			}
		})
		if got := watermark(t, f.db); got != may2026 {
			t.Errorf("the watermark is %d, want %d", got, may2026)
		}
		f.flush()
		if diff := cmp.Diff(map[schema.ID]int64{id: 2}, saved(t, f.db)); diff != "" {
			t.Errorf("saved seconds differ (- want, + got):\n%s", diff)
		}
		if got, want := watermark(t, f.db), f.clock.now.UnixMilli(); got != want {
			t.Errorf("the watermark is %d, want %d", got, want)
		}
	})
	t.Run("ends with its context while another saves", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f.table.Publish([]schema.OwnedPoint{at(schema.NewID(), 1)})
		if err := f.table.Flush(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want %v", err, context.Canceled)
		}
	})
}

func TestRunSavesByItself(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	asked := make(chan struct{}) // once whenever a save looks at the clock
	table := query.NewLastSeen(db, func() time.Time {
		asked <- struct{}{}
		return time.UnixMilli(may2026)
	})
	id := schema.NewID()
	table.Publish([]schema.OwnedPoint{at(id, 7)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		table.Run(ctx)
	}()
	// A save looks at its beginning and before its insert; the third look is the next one's.
	for range 3 {
		<-asked
	}
	found := false
	if err := db.LoadCheckpoints(t.Context(), func(c schema.Checkpoint) { found = c.Point.SessionID == id }); err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Error("the session was not saved")
	}
	cancel()
	<-ended
}
