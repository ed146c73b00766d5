package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func TestABatchComesBackAsItWasSent(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	mustExec(t, conn, `CREATE TABLE t (i UInt32, s String, f Nullable(Float32), at DateTime64(3, 'UTC'), l LowCardinality(String),
		a Array(String), d Decimal(18, 4)) ENGINE = MergeTree ORDER BY i`)
	// A semicolon in the data once ended them.
	texts := append([]string{"a;b", ";", "\x00\x01;\xff", "FORMAT Native"}, hostile...)
	at := time.Date(2026, 1, 15, 9, 30, 0, 7e6, time.UTC)
	batch, err := conn.PrepareBatch(withTimeout(t), "INSERT INTO t (i, s, f, at, l, a)")
	if err != nil {
		t.Fatal(err)
	}
	half := float32(0.5)
	for i, text := range texts {
		value := &half
		if i%2 == 1 {
			value = nil
		}
		if err := batch.Append(uint32(i), text, value, at, text, []string{text, text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(withTimeout(t), "SELECT i, s, f, at, l, a FROM t ORDER BY i")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; rows.Next(); n++ {
		var (
			i     uint32
			s, l  string
			f     *float32
			gotAt time.Time
			a     []string
		)
		if err := rows.Scan(&i, &s, &f, &gotAt, &l, &a); err != nil {
			t.Fatal(err)
		}
		want := texts[i]
		if int(i) != n || s != want || l != want || len(a) != 2 || a[1] != want || !gotAt.Equal(at) || (f == nil) != (i%2 == 1) {
			t.Errorf("row %d: got %d, %.40q, %.40q, %.40q, %v, %v", n, i, s, l, a, gotAt, f)
		}
	}
	if err := rows.Err(); err != nil || n != len(texts) {
		t.Errorf("%d rows, want %d (%v)", n, len(texts), err)
	}
}

func TestAnInsertThatFailsWritesNothing(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	mustExec(t, conn, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a PARTITION BY a % 1000")
	broken := errors.New("broken on purpose")
	good := strings.Repeat("1,x\n", 100_000)
	var everywhere strings.Builder
	for i := range 200 {
		fmt.Fprintf(&everywhere, "%d,x\n", i)
	}
	for _, c := range []struct {
		name, into, format string
		data               io.Reader
		code               int32 // or broken
	}{
		{"bad value", "t", "CSV", strings.NewReader(good + "two,x\n"), 27},
		{"too few columns", "t", "CSV", strings.NewReader(good + "2"), 27},
		{"no such table", "nowhere", "CSV", strings.NewReader(good), 60},
		{"no such column", "t (b)", "CSV", strings.NewReader(good), 16},
		{"no such format", "t", "Nonsense", strings.NewReader(good), 73},
		{"too many partitions", "t", "CSV", strings.NewReader(everywhere.String()), 252},
		{"not Native", "t", "Native", strings.NewReader("rubbish"), 33},
		{"Native that is cut off", "t", "Native", strings.NewReader("\x02\x01\x01a\x06UInt64\x01\x02"), 33},
		{"a reader that fails", "t", "CSV", io.MultiReader(strings.NewReader(good), failingReader{broken}), 0},
		{"a reader that fails at once", "t", "CSV", failingReader{broken}, 0},
		{"a connection that breaks", "t", "CSV", io.MultiReader(strings.NewReader(good), failingReader{io.ErrUnexpectedEOF}), 0},
	} {
		err := conn.InsertFormat(withTimeout(t), c.format, "INSERT INTO "+c.into, c.data)
		switch {
		case c.code != 0:
			wantCode(t, c.name, err, c.code)
		case !errors.Is(err, broken) && !errors.Is(err, io.ErrUnexpectedEOF):
			t.Errorf("%s: got %v", c.name, err)
		}
		if n := scalar[uint64](t, conn, "SELECT count() FROM t"); n != 0 {
			t.Fatalf("%s: %d rows were written", c.name, n)
		}
	}
	if err := conn.InsertFormat(withTimeout(t), "CSV", "INSERT INTO t", strings.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM t"); n != 100_000 {
		t.Errorf("%d rows after a good insert, want 100000", n)
	}
}

// An insert of many blocks cannot be undone, but when it has failed it is over.
func TestALongInsertThatFailsWritesNothingAfterwards(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	mustExec(t, conn, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a PARTITION BY a % 10")
	var data bytes.Buffer
	for i := range 1_500_000 {
		fmt.Fprintf(&data, "%d,some text\n", i)
	}
	for _, end := range []string{"bad", ""} {
		var tail io.Reader = strings.NewReader(end)
		if end == "" {
			tail = failingReader{io.ErrUnexpectedEOF}
		}
		if err := conn.InsertFormat(withTimeout(t), "CSV", "INSERT INTO t", io.MultiReader(bytes.NewReader(data.Bytes()), tail)); err == nil {
			t.Fatal("the insert succeeded")
		}
		before := scalar[uint64](t, conn, "SELECT count() FROM t")
		everyConnection(t, func() {
			if after := scalar[uint64](t, conn, "SELECT count() FROM t"); after != before {
				t.Fatalf("there were %d rows after the error, and then %d", before, after)
			}
		})
	}
}

func TestAnInsertEndsWithItsContext(t *testing.T) {
	conn := open(t, newDatabase(t))
	mustExec(t, conn, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	everyConnection(t, func() {
		ctx, cancel := context.WithCancel(t.Context())
		read, write := io.Pipe()
		done := make(chan error)
		go func() { done <- conn.InsertFormat(ctx, "CSV", "INSERT INTO t", read) }()
		// The insert has begun when it has taken these, and waits for more.
		if _, err := io.WriteString(write, strings.Repeat("1\n", 1000)); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
	if n := scalar[uint64](t, conn, "SELECT count() FROM t"); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

func TestAnInsertOfNothingSucceeds(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	mustExec(t, conn, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	for _, format := range []string{"CSV", "Native", "JSONEachRow"} {
		if err := conn.InsertFormat(withTimeout(t), format, "INSERT INTO t", strings.NewReader("")); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestSettingsReachAnInsert(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	mustExec(t, conn, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a PARTITION BY a")
	ctx := clickhouse.Context(withTimeout(t), clickhouse.WithSettings(clickhouse.Settings{"max_partitions_per_insert_block": 2}))
	wantCode(t, "by the request", conn.InsertFormat(ctx, "CSV", "INSERT INTO t", strings.NewReader("1\n2\n3\n")), 252)
	wantCode(t, "by the statement", conn.InsertFormat(withTimeout(t), "CSV",
		"INSERT INTO t SETTINGS max_partitions_per_insert_block = 2", strings.NewReader("1\n2\n3\n")), 252)
	if err := conn.InsertFormat(withTimeout(t), "CSV", "INSERT INTO t", strings.NewReader("1\n2\n3\n")); err != nil {
		t.Error(err)
	}
}

func TestALongInsertIsNeverHeldWhole(t *testing.T) {
	conn := open(t, newDatabase(t))
	mustExec(t, conn, "CREATE TABLE t (a UInt64, s String) ENGINE = Null")
	before := resident()
	const line, lines = "1,0123456789012345678901234567890123456789012345678901234567890123\n", 10_000_000
	data := io.LimitReader(&repeat{text: []byte(strings.Repeat(line, 1000))}, int64(len(line))*lines)
	if err := conn.InsertFormat(withTimeout(t), "CSV", "INSERT INTO t", data); err != nil {
		t.Fatal(err)
	}
	if grown := resident() - before; grown > 400 {
		t.Errorf("resident memory grew by %.0f MB while 670 MB were inserted", grown)
	}
}

// repeat is a reader of a text that is repeated for ever.
type repeat struct {
	text []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}
