package embedded_test

import (
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// everyConnection runs f often enough in sequence that every connection of the
// engine has had it: connections are used in turn.
func everyConnection(t *testing.T, f func()) {
	t.Helper()
	for range 2 * engineConnections {
		f()
	}
}

func TestNothingOfAStatementReachesTheNext(t *testing.T) {
	database := newDatabase(t)
	conn, other := open(t, ""), open(t, database)
	mustExec(t, other, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	withSetting := func(name string, value any) {
		ctx := clickhouse.Context(withTimeout(t), clickhouse.WithSettings(clickhouse.Settings{name: value}))
		var ignored uint8
		_ = conn.QueryRow(ctx, "SELECT 1").Scan(&ignored)
	}
	for name, before := range map[string]func(){
		"a setting":                  func() { withSetting("max_block_size", 77) },
		"a setting with a bad value": func() { withSetting("max_block_size", "many") },
		"an unknown setting":         func() { withSetting("max_blok_size", 77) },
		"a SETTINGS clause":          func() { _ = run(withTimeout(t), conn, "SELECT 1 SETTINGS max_block_size = 77") },
		"a SETTINGS clause in vain":  func() { _ = run(withTimeout(t), conn, "SELECT throwIf(1) SETTINGS max_block_size = 77") },
		"an insert's SETTINGS clause": func() {
			_ = run(withTimeout(t), other, "INSERT INTO t SETTINGS max_block_size = 77 SELECT 1")
		},
		"another database":    func() { _ = run(withTimeout(t), other, "SELECT * FROM t") },
		"an unknown database": func() { _ = run(withTimeout(t), open(t, "nowhere"), "SELECT 1") },
		"SET":                 func() { _ = run(withTimeout(t), conn, "SET max_block_size = 77") },
		"USE":                 func() { _ = run(withTimeout(t), conn, "USE "+database) },
		"a temporary table":   func() { _ = run(withTimeout(t), conn, "CREATE TEMPORARY TABLE temporary (a UInt8)") },
		"a bound parameter":   func() { _ = run(withTimeout(t), conn, "SELECT {left:UInt8}", clickhouse.Named("left", 1)) },
		"a cancelled stream":  func() { abandon(t, conn, "SELECT number FROM numbers(100000000) SETTINGS max_block_size = 77") },
		"readonly":            func() { withSetting("readonly", 1) },
		"allow_ddl":           func() { withSetting("allow_ddl", 0) },
		"a short query size":  func() { withSetting("max_query_size", 12) },
		"little memory":       func() { withSetting("max_memory_usage", 1) },
	} {
		everyConnection(t, before)
		everyConnection(t, func() { wantFresh(t, name, conn) })
	}
}

// wantFresh checks that a session is as one that has just been made.
func wantFresh(t *testing.T, after string, conn driver.Conn) {
	t.Helper()
	if size := scalar[uint64](t, conn, "SELECT toUInt64(getSetting('max_block_size'))"); size != 65409 {
		t.Errorf("after %s max_block_size is %d", after, size)
	}
	if name := scalar[string](t, conn, "SELECT currentDatabase()"); name != "default" {
		t.Errorf("after %s the database is %s", after, name)
	}
	wantCode(t, "after "+after+" a temporary table", run(withTimeout(t), conn, "SELECT * FROM temporary"), 60)
	wantCode(t, "after "+after+" a parameter", run(withTimeout(t), conn, "SELECT {left:UInt8}"), 456)
}

func abandon(t *testing.T, conn driver.Conn, sql string) {
	t.Helper()
	stream, err := conn.QueryFormat(withTimeout(t), "Native", sql)
	if err != nil {
		t.Error(err)
		return
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
}

func TestSettingsReachTheirStatement(t *testing.T) {
	t.Parallel()
	conn := open(t, "")
	for _, want := range hostile {
		ctx := clickhouse.Context(withTimeout(t), clickhouse.WithSettings(clickhouse.Settings{"format_csv_null_representation": want}))
		var got string
		if err := conn.QueryRow(ctx, "SELECT getSetting('format_csv_null_representation')").Scan(&got); err != nil || got != want {
			t.Errorf("the setting %.40q arrived as %.40q (%v)", want, got, err)
		}
	}
}

func TestEveryRequestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 4 {
		conn := open(t, newDatabase(t))
		name := scalar[string](t, conn, "SELECT currentDatabase()")
		mustExec(t, conn, "CREATE TABLE t (name String) ENGINE = MergeTree ORDER BY name")
		mustExec(t, conn, "INSERT INTO t SELECT currentDatabase()")
		wg.Go(func() {
			for range 50 {
				if got := scalar[string](t, conn, "SELECT name FROM t"); got != name {
					t.Errorf("a client of %s reads from %s", name, got)
				}
			}
		})
	}
	wg.Wait()
}
