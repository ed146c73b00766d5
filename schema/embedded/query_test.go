package embedded_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// hostile are texts that would do harm if they were pasted into a statement.
var hostile = []string{
	"", "'", `"`, "`", `\`, `\'`, "''", "'; DROP TABLE t; --", "') FORMAT Null --", "{x:String}", "$1 ? @a",
	"a\tb\nc\rd", "nul\x00inside", "\\N", "NULL", "%27%20", "/* */", "-- x", "ключ 🚌", strings.Repeat("long'", 10_000),
}

func TestParametersArriveAsTheyWereBound(t *testing.T) {
	t.Parallel()
	conn := open(t, "")
	for _, want := range hostile {
		var got string
		if err := conn.QueryRow(withTimeout(t), "SELECT {x:String}", clickhouse.Named("x", want)).Scan(&got); err != nil {
			t.Errorf("%.40q: %v", want, err)
		} else if got != want {
			t.Errorf("%.40q arrived as %.40q", want, got)
		}
	}
	at := time.Date(2026, 1, 15, 9, 30, 0, 123e6, time.UTC)
	var (
		gotTime  time.Time
		gotList  []string
		gotInt   int64
		gotFloat float64
	)
	err := conn.QueryRow(withTimeout(t), "SELECT {a:DateTime64(3, 'UTC')}, {l:Array(String)}, {i:Int64}, {f:Float64}",
		clickhouse.Named("a", at), clickhouse.Named("l", hostile), clickhouse.Named("i", int64(math.MinInt64)),
		clickhouse.Named("f", 0.1)).Scan(&gotTime, &gotList, &gotInt, &gotFloat)
	if err != nil {
		t.Fatal(err)
	}
	if !gotTime.Equal(at) || !slices.Equal(gotList, hostile) || gotInt != math.MinInt64 || gotFloat != 0.1 {
		t.Errorf("got %v, %.40q, %d, %v", gotTime, gotList, gotInt, gotFloat)
	}
}

func TestStatementsOfEveryShapeAnswer(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	mustExec(t, conn, "CREATE TABLE t (a UInt8, b String) ENGINE = MergeTree ORDER BY a")
	mustExec(t, conn, "INSERT INTO t VALUES (1, 'one;'), (2, 'two')")
	mustExec(t, conn, "INSERT INTO t SELECT 3, 'three'")
	for _, c := range []struct {
		sql  string
		rows int
	}{
		{"SELECT a FROM t", 3},
		{"SELECT a FROM t;", 3},
		{"  \n\tselect a from t ; \n", 3},
		{"-- a remark; with a semicolon\nSELECT a FROM t", 3},
		{"/* a\nremark */ SELECT a FROM t -- another", 3},
		{"(SELECT a FROM t) UNION ALL (SELECT a FROM t)", 6},
		{"WITH 1 AS x SELECT a FROM t WHERE a > x", 2},
		{"FROM t SELECT a", 3},
		{"SELECT a FROM t FORMAT Native", 3},
		{"SELECT a FROM t SETTINGS max_threads = 1 FORMAT Native;", 3},
		{"SELECT 'FORMAT JSON', a FROM t", 3},
		{"SELECT a FROM t WHERE 0", 0},
		{"DESCRIBE TABLE t", 2},
		{"SHOW TABLES", 1},
		{"SHOW CREATE TABLE t", 1},
		{"EXISTS TABLE t", 1},
		{"EXPLAIN AST SELECT 1", 4},
		{"CHECK TABLE t", 1},
		{"OPTIMIZE TABLE t FINAL", 0},
		{"ALTER TABLE t ADD COLUMN c UInt8", 0},
		{"SELECT * FROM system.tables WHERE database = currentDatabase()", 1},
	} {
		rows, err := conn.Query(withTimeout(t), c.sql)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		n := 0
		for rows.Next() {
			n++
		}
		if err := rows.Err(); err != nil || n < c.rows || c.rows == 0 && n > 0 {
			t.Errorf("%s: %d rows, want %d (%v)", c.sql, n, c.rows, err)
		}
	}
}

func TestBlocksWithoutRowsDoNotEndAResult(t *testing.T) {
	t.Parallel()
	conn := open(t, "")
	rows, err := conn.Query(withTimeout(t), "SELECT number FROM numbers(1000000) WHERE number % 250000 = 7 SETTINGS max_block_size = 100, max_threads = 1")
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for rows.Next() {
		var n uint64
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if want := []uint64{7, 250007, 500007, 750007}; rows.Err() != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, want %v (%v)", got, want, rows.Err())
	}
}

func TestFailuresCarryTheirCode(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	for _, c := range []struct {
		sql      string
		settings clickhouse.Settings
		code     int32
	}{
		{"SELECT * FROM nowhere", nil, 60},
		{"SELECT nothing", nil, 47},
		{"nonsense", nil, 62},
		{"SELECT 'open", nil, 62},
		{"", nil, 62},
		{" ; ", nil, 62},
		{"SELECT 1; SELECT 2", nil, 62},
		{"SELECT 1", clickhouse.Settings{"no_such_setting": 1}, 115},
		{"SELECT 1", clickhouse.Settings{"max_threads = 1, x": 1}, 115},
		{"SELECT 1", clickhouse.Settings{"max_threads": "'; DROP TABLE t; --"}, 27},
		{"SELECT {x:UInt8}", nil, 456},
		{"DROP TABLE nowhere", nil, 60},
		{"CREATE TABLE t (a UInt8) ENGINE = Nonsense", nil, 56},
		{"INSERT INTO nowhere VALUES (1)", nil, 60},
		{"SELECT groupArray(number) FROM numbers(10000000)", clickhouse.Settings{"max_memory_usage": 10_000_000}, 241},
		{"SELECT 1", clickhouse.Settings{"compress": 1}, 48},
	} {
		ctx := clickhouse.Context(withTimeout(t), clickhouse.WithSettings(c.settings))
		wantCode(t, c.sql, run(ctx, conn, c.sql), c.code)
	}
	// clickhouse-go makes max_execution_time of a context's deadline.
	wantCode(t, "a time limit", run(clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"max_execution_time": 0.1})),
		conn, "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"), 159)
	wantCode(t, "another database", run(withTimeout(t), open(t, "no`such'database"), "SELECT 1"), 81)
}

func TestAFailureInTheMiddleOfAResultIsAnError(t *testing.T) {
	t.Parallel()
	conn := open(t, "")
	const sql = "SELECT number, throwIf(number = 900000, 'on purpose: __exception__') FROM numbers(1000000) SETTINGS max_block_size = 10000, max_threads = 1"
	rows, err := conn.Query(withTimeout(t), sql)
	if err != nil {
		t.Fatalf("the statement failed before its first row: %v", err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	if n == 0 || n >= 1_000_000 {
		t.Errorf("%d rows came before the failure", n)
	}
	wantCode(t, "Query", rows.Err(), 395)

	for _, format := range []string{"Native", "JSONEachRow", "Parquet", "RowBinary"} {
		stream, err := conn.QueryFormat(withTimeout(t), format, sql)
		if err != nil {
			t.Fatalf("%s: the statement failed before its first row: %v", format, err)
		}
		_, err = io.Copy(io.Discard, stream)
		wantCode(t, format, err, 395)
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	}

	// Nor may anybody else take it for an end.
	resp := roundTrip(t, t.Context(), url.Values{"default_format": {"CSV"}}, sql)
	_, err = io.Copy(io.Discard, resp.Body)
	wantCode(t, "the raw body", err, 395)
}

func TestSeveralStatementsAreRefusedBeforeTheFirstRuns(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	mustExec(t, conn, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
	for _, sql := range []string{
		"INSERT INTO t SELECT 1; INSERT INTO t SELECT 2",
		"DROP TABLE t; nonsense nonsense (",
		"INSERT INTO t SELECT 1; SELECT 'open",
		"SELECT 1;\nDROP TABLE t",
	} {
		wantCode(t, sql, run(withTimeout(t), conn, sql), 62)
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM t"); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

func TestAResultIsNeverHeldWhole(t *testing.T) {
	conn := open(t, "")
	before := resident()
	for format, want := range map[string]int64{"Native": 8 * 60_000_000, "RowBinary": 8 * 60_000_000, "Null": 0} {
		stream, err := conn.QueryFormat(withTimeout(t), format, "SELECT number FROM numbers(60000000)")
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, stream)
		if err != nil || n < want {
			t.Errorf("%s: %d bytes, want at least %d (%v)", format, n, want, err)
		}
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	}
	if grown := resident() - before; grown > 200 {
		t.Errorf("resident memory grew by %.0f MB while 480 MB were read, twice", grown)
	}
}

func TestTheClientLearnsTheServersVersion(t *testing.T) {
	t.Parallel()
	conn := open(t, "")
	version, err := conn.ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := version.Version.String(), scalar[string](t, conn, "SELECT version()"); !strings.HasPrefix(want, got) {
		t.Errorf("the hello says %s, the engine %s", got, want)
	}
	if err := conn.Ping(withTimeout(t)); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNotSupportedIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request){
		"compressed body": func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
	} {
		req := newRequest(t.Context(), nil, "SELECT 1")
		change(req)
		resp, err := engine.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if code := resp.Header.Get("X-ClickHouse-Exception-Code"); resp.StatusCode != 500 || code != "48" {
			t.Errorf("%s: status %d, code %q", name, resp.StatusCode, code)
		}
	}
}

// run runs a statement and reads its result.
func run(ctx context.Context, conn driver.Conn, sql string, args ...any) error {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}

func wantCode(t *testing.T, what string, err error, code int32) {
	t.Helper()
	if ex, ok := errors.AsType[*clickhouse.Exception](err); !ok || ex.Code != code {
		t.Errorf("%s: want an exception with code %d, got %v", what, code, err)
	}
}

// newRequest is what a client that is not clickhouse-go would send.
func newRequest(ctx context.Context, query url.Values, body string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://embedded.invalid/?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		panic(err) // the address is a constant
	}
	return req
}

func roundTrip(t testing.TB, ctx context.Context, query url.Values, body string) *http.Response {
	t.Helper()
	resp, err := engine.RoundTrip(newRequest(ctx, query, body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}
