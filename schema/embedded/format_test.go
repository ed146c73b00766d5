package embedded_test

import (
	"bytes"
	"context"
	"io"
	"net/url"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// rowsOfManyBlocks has awkward texts and comes in 300 blocks.
const rowsOfManyBlocks = `SELECT number AS n, if(number % 7 = 0, NULL, toString(number) || ';"''\n\t\\,') AS s, number / 4 AS x
	FROM numbers(30000) SETTINGS max_block_size = 100, max_threads = 1, output_format_write_statistics = 0`

func readFormat(t *testing.T, ctx context.Context, conn driver.Conn, format, sql string) []byte {
	t.Helper()
	stream, err := conn.QueryFormat(ctx, format, sql)
	if err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	data, err := io.ReadAll(stream)
	if err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	if err := stream.Close(); err != nil {
		t.Errorf("%s: %v", format, err)
	}
	return data
}

func TestAResultIsOneDocumentInEveryFormat(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	mustExec(t, conn, "CREATE TABLE t (n UInt64, s Nullable(String), x Float64) ENGINE = MergeTree ORDER BY n")
	const digest = "SELECT count(), sum(cityHash64(n, s, x)) FROM "
	var wantRows, wantSum uint64
	if err := conn.QueryRow(withTimeout(t), digest+"("+rowsOfManyBlocks+")").Scan(&wantRows, &wantSum); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{
		"Native", "JSONEachRow", "JSONCompactEachRow", "JSON", "JSONCompact", "JSONColumns", "CSV", "CSVWithNames",
		"CSVWithNamesAndTypes", "TabSeparated", "TSVWithNames", "TSKV", "RowBinary", "RowBinaryWithNamesAndTypes", "Values",
		"MsgPack", "Parquet", "Arrow", "ArrowStream", "ORC", "Avro", "BSONEachRow",
	} {
		data := readFormat(t, withTimeout(t), conn, format, rowsOfManyBlocks)
		mustExec(t, conn, "TRUNCATE TABLE t")
		if err := conn.InsertFormat(withTimeout(t), format, "INSERT INTO t", bytes.NewReader(data)); err != nil {
			t.Errorf("%s: reading it back: %v", format, err)
			continue
		}
		var rows, sum uint64
		if err := conn.QueryRow(withTimeout(t), digest+"t").Scan(&rows, &sum); err != nil {
			t.Errorf("%s: %v", format, err)
		} else if rows != wantRows || sum != wantSum {
			t.Errorf("%s: %d rows came back, with the sum %d; want %d, %d", format, rows, sum, wantRows, wantSum)
		}
	}
}

func TestTheFormatCanStandInTheStatement(t *testing.T) {
	t.Parallel()
	want := readFormat(t, withTimeout(t), open(t, ""), "CSVWithNames", rowsOfManyBlocks)
	for tail, format := range map[string]string{
		" FORMAT CSVWithNames":                      "Native",
		"\nformat CSVWithNames;":                    "Native",
		" FORMAT CSVWithNames -- a remark":          "Native",
		" -- FORMAT JSON\n FORMAT CSVWithNames":     "Native",
		" /* FORMAT JSON */ FORMAT CSVWithNames ; ": "Native",
		" -- FORMAT JSON":                           "CSVWithNames",
		" /* FORMAT JSON */":                        "CSVWithNames",
		" # FORMAT JSON":                            "CSVWithNames",
		";":                                         "CSVWithNames",
		"; -- FORMAT JSON":                          "CSVWithNames",
	} {
		resp := roundTrip(t, withTimeout(t), url.Values{"default_format": {format}}, rowsOfManyBlocks+tail)
		got, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: got %d bytes that begin %.60q, want %d (%v)", tail, len(got), got, len(want), err)
		}
	}
}

func TestStatementsThatAreNoSelectHaveTheirFormatToo(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	mustExec(t, conn, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	for sql, want := range map[string]string{
		"SHOW TABLES":      "{\"name\":\"t\"}\n",
		"EXISTS TABLE t":   "{\"result\":1}\n",
		"SELECT 1 AS a":    "{\"a\":1}\n",
		"SELECT 1 WHERE 0": "",
	} {
		if got := readFormat(t, withTimeout(t), conn, "JSONEachRow", sql); string(got) != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
}
