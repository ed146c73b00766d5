// Package querytest has what tests of the read side share.
package query_test

import (
	"context"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/query"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// may2026 is the Unix time in milliseconds around which test points lie.
var may2026 = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC).UnixMilli()

// sameTemperature compares points with the absent temperature, NaN, equal to itself.
var sameTemperature = cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })

// at returns a point of a session, seconds after may2026 and received a second later.
func at(session schema.ID, seconds int64) schema.OwnedPoint {
	p := schema.NewDataPoint(session, may2026+seconds*1000, 480_000_000+int32(seconds), 110_000_000)
	p.ReceivedAt = p.Timestamp + 1000
	return schema.OwnedPoint{DataPoint: p, OrgID: "org_a"}
}

// version returns a later version of a point.
func version(p schema.OwnedPoint, n uint32, outlier schema.Outlier) schema.OwnedPoint {
	p.Version, p.Outlier = n, outlier
	return p
}

// newSession returns a session of org_a.
func newSession() schema.Session {
	return schema.Session{ID: schema.NewID(), OrgID: "org_a", DeviceID: schema.ID{1}, DeviceMACAddress: "aa:bb", CreatedAt: time.UnixMilli(may2026).UTC(), Version: 1}
}

func insert(tb testing.TB, db *schema.DB, points ...schema.OwnedPoint) {
	tb.Helper()
	if err := db.InsertDataPoints(context.Background(), points); err != nil {
		tb.Fatal(err)
	}
}

func saveSession(tb testing.TB, db *schema.DB, sessions ...schema.Session) {
	tb.Helper()
	for _, s := range sessions {
		if err := db.SaveSession(context.Background(), s); err != nil {
			tb.Fatal(err)
		}
	}
}

// load returns a table as a service that starts on db would have it.
func load(tb testing.TB, db *schema.DB, now func() time.Time) *query.LastSeen {
	tb.Helper()
	table := query.NewLastSeen(db, now)
	if err := table.Load(context.Background(), nil); err != nil {
		tb.Fatal(err)
	}
	return table
}

// wantShown checks what the owner of a session sees; want is nil for no point.
func wantShown(tb testing.TB, table *query.LastSeen, session schema.ID, want *schema.OwnedPoint) {
	tb.Helper()
	var got schema.DataPoint
	status := table.Lookup([]byte(session.String()), "org_a", &got)
	switch {
	case want == nil && status != query.NoPoint:
		tb.Errorf("the look-up answers %v with %+v, want no point", status, got)
	case want != nil && status != query.Found:
		tb.Errorf("the look-up answers %v, want a point", status)
	case want != nil:
		if diff := cmp.Diff(want.DataPoint, got, sameTemperature); diff != "" {
			tb.Errorf("the point on show differs (- want, + got):\n%s", diff)
		}
	}
}

// breakTable runs broken while a table is away, so that statements that use it fail.
func breakTable(tb testing.TB, db *schema.DB, name string, broken func()) {
	tb.Helper()
	defer schematest.BreakTable(tb, db, name)()
	broken()
}

// running counts the statements that ClickHouse runs for the database.
func running(tb testing.TB, db *schema.DB) (n uint64) {
	tb.Helper()
	conn := schematest.Connect(tb, db)
	defer conn.Close()
	const statement = "SELECT toUInt64(count() - 1) FROM system.processes WHERE current_database = currentDatabase()"
	if err := conn.QueryRow(context.Background(), statement).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// fillSessions writes so many sessions of a thousand organisations.
func fillSessions(tb testing.TB, db *schema.DB, n int) {
	tb.Helper()
	schematest.Exec(tb, db, `INSERT INTO sessions (session_id, org_id, device_id, device_mac_address, created_at, public, shared_with_org_ids, version)
SELECT substring(lower(hex(sipHash128(number))), 1, 24), 'org_' || toString(number % 1000), '010000000000000000000000', 'aa:bb', now(), number % 2, [], 1
FROM numbers(`+strconv.Itoa(n)+`)`)
}
