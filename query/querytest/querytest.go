// Package querytest has what tests of the read side share.
package querytest

import (
	"context"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/query/latest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// May2026 is the Unix time in milliseconds around which test points lie.
var May2026 = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC).UnixMilli()

// SameTemperature compares points with the absent temperature, NaN, equal to itself.
var SameTemperature = cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })

// At returns a point of a session, seconds after May2026 and received a second later.
func At(session schema.ID, seconds int64) schema.OwnedPoint {
	p := schema.NewDataPoint(session, May2026+seconds*1000, 480_000_000+int32(seconds), 110_000_000)
	p.ReceivedAt = p.Timestamp + 1000
	return schema.OwnedPoint{DataPoint: p, OrgID: "org_a"}
}

// Version returns a later version of a point.
func Version(p schema.OwnedPoint, n uint32, outlier schema.Outlier) schema.OwnedPoint {
	p.Version, p.Outlier = n, outlier
	return p
}

// NewSession returns a session of org_a.
func NewSession() schema.Session {
	return schema.Session{ID: schema.NewID(), OrgID: "org_a", DeviceID: schema.ID{1}, DeviceMACAddress: "aa:bb", CreatedAt: time.UnixMilli(May2026).UTC(), Version: 1}
}

// Insert writes points.
func Insert(tb testing.TB, db *schema.DB, points ...schema.OwnedPoint) {
	tb.Helper()
	if err := db.InsertDataPoints(context.Background(), points); err != nil {
		tb.Fatal(err)
	}
}

// SaveSession writes sessions.
func SaveSession(tb testing.TB, db *schema.DB, sessions ...schema.Session) {
	tb.Helper()
	for _, s := range sessions {
		if err := db.SaveSession(context.Background(), s); err != nil {
			tb.Fatal(err)
		}
	}
}

// Load returns a table as a service that starts on db would have it.
func Load(tb testing.TB, db *schema.DB, now func() time.Time) *latest.Table {
	tb.Helper()
	table := latest.New(db, now)
	if err := db.EachSession(context.Background(), table.PutSession); err != nil {
		tb.Fatal(err)
	}
	if err := table.Load(context.Background(), nil); err != nil {
		tb.Fatal(err)
	}
	return table
}

// WantShown checks what the owner of a session sees; want is nil for no point.
func WantShown(tb testing.TB, table *latest.Table, session schema.ID, want *schema.OwnedPoint) {
	tb.Helper()
	var got schema.DataPoint
	status := table.Lookup([]byte(session.String()), "org_a", &got)
	switch {
	case want == nil && status != latest.NoPoint:
		tb.Errorf("the look-up answers %v with %+v, want no point", status, got)
	case want != nil && status != latest.Found:
		tb.Errorf("the look-up answers %v, want a point", status)
	case want != nil:
		if diff := cmp.Diff(want.DataPoint, got, SameTemperature); diff != "" {
			tb.Errorf("the point on show differs (- want, + got):\n%s", diff)
		}
	}
}

// BreakTable runs broken while a table is away, so that statements that use it fail.
func BreakTable(tb testing.TB, db *schema.DB, name string, broken func()) {
	tb.Helper()
	defer schematest.BreakTable(tb, db, name)()
	broken()
}

// Running counts the statements that ClickHouse runs for the database.
func Running(tb testing.TB, db *schema.DB) (n uint64) {
	tb.Helper()
	conn := schematest.Connect(tb, db)
	defer conn.Close()
	const statement = "SELECT toUInt64(count() - 1) FROM system.processes WHERE current_database = currentDatabase()"
	if err := conn.QueryRow(context.Background(), statement).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// AwaitNoneRunning waits until ClickHouse runs nothing for the database, for ten seconds: a server looks
// only now and then whether the client of a statement has left.
func AwaitNoneRunning(tb testing.TB, db *schema.DB) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n := Running(tb, db)
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			tb.Errorf("ClickHouse still runs %d statements", n)
			return
		}
	}
}

// FillSessions writes so many sessions of a thousand organisations.
func FillSessions(tb testing.TB, db *schema.DB, n int) {
	tb.Helper()
	schematest.Exec(tb, db, `INSERT INTO sessions (session_id, org_id, device_id, device_mac_address, created_at, public, shared_with_org_ids, version)
SELECT substring(lower(hex(sipHash128(number))), 1, 24), 'org_' || toString(number % 1000), '010000000000000000000000', 'aa:bb', now(), number % 2, [], 1
FROM numbers(`+strconv.Itoa(n)+`)`)
}
