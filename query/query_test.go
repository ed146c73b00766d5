package query_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"lastseen/query"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestMain(m *testing.M) { schematest.Main(m) }

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
func breakTable(t *testing.T, db *schema.DB, name string, broken func()) {
	t.Helper()
	exec(t, db, "RENAME TABLE "+name+" TO "+name+"_away")
	defer exec(t, db, "RENAME TABLE "+name+"_away TO "+name)
	broken()
}

// exec runs a statement that no code of ours would.
func exec(tb testing.TB, db *schema.DB, statement string) {
	tb.Helper()
	onConnection(tb, db, func(conn driver.Conn) error { return conn.Exec(context.Background(), statement) })
}

// running counts the statements that ClickHouse runs for the database.
func running(tb testing.TB, db *schema.DB) (n uint64) {
	tb.Helper()
	onConnection(tb, db, func(conn driver.Conn) error {
		const statement = "SELECT toUInt64(count() - 1) FROM system.processes WHERE current_database = currentDatabase()"
		return conn.QueryRow(context.Background(), statement).Scan(&n)
	})
	return n
}

func onConnection(tb testing.TB, db *schema.DB, do func(driver.Conn) error) {
	tb.Helper()
	conn, err := clickhouse.Open(schematest.Engine(tb).ClientOptions(db.Database()))
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	if err := do(conn); err != nil {
		tb.Fatal(err)
	}
}
