package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// The bounds of the stress test.
const (
	// stressStall is how long it may take until anything at all gets done.
	stressStall = time.Minute
	// stressGrowth is how much resident memory may grow after the warm-up, in
	// MB: a fixed part for caches that are still filling, and one by the minute.
	stressGrowth, stressGrowthPerMinute = 64, 2.0
	// stressKeep is how many rows a writer gathers before it starts anew.
	stressKeep = 200_000
	// stressWriters is how many tables there are, each with a writer.
	stressWriters = 3
)

// TestStress runs mixed inserts, queries, failures and cancellations with a
// garbage collection every 30 ms: 5 seconds, or as long as LASTSEEN_STRESS
// says, which `make stress` sets to ten minutes. It fails on a crash, a wrong
// count, a standstill, or memory that grows past the bounds above; memory is
// compared at rest, after a fifth of the time and at the end.
func TestStress(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	duration := 5 * time.Second
	if text := os.Getenv("LASTSEEN_STRESS"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatalf("LASTSEEN_STRESS must be a duration such as 10m: %v", err)
		}
	}
	s := &stress{t: t, conn: open(t, newDatabase(t)), began: time.Now(), report: max(duration/20, time.Second)}
	for i := range stressWriters {
		s.writers = append(s.writers, newWriter(s, i))
		s.steps = append(s.steps, s.writers[i].step)
	}
	s.steps = append(s.steps, s.read, s.read, s.cancelled, s.abandoned, s.formats, s.failures)

	s.run(duration / 5)
	start := s.settled()
	s.run(duration - duration/5)
	end := s.settled()

	t.Logf("%d rows written, %d queries, %d given up, %d failed as they should",
		s.rows.Load(), s.queries.Load(), s.given.Load(), s.failed.Load())
	bound := stressGrowth + stressGrowthPerMinute*duration.Minutes()
	t.Logf("resident memory at rest: %.0f MB after the warm-up, %.0f MB at the end (may grow by %.0f)", start, end, bound)
	if end-start > bound {
		t.Errorf("resident memory grew by %.0f MB, more than %.0f", end-start, bound)
	}
}

type stress struct {
	t    *testing.T
	conn driver.Conn

	writers []*writer
	steps   []func(context.Context) error
	began   time.Time
	report  time.Duration // between two lines on how it goes

	rows, queries, given, failed atomic.Int64
	progress                     atomic.Int64
}

// run repeats every step, each in a goroutine of its own, for a time.
func (s *stress) run(duration time.Duration) {
	ctx, cancel := context.WithTimeout(s.t.Context(), duration)
	defer cancel()
	var wg sync.WaitGroup
	for _, step := range s.steps {
		wg.Go(func() { s.loop(ctx, step) })
	}
	wg.Go(func() { collect(ctx) })
	stopped := make(chan struct{})
	go func() {
		wg.Wait()
		close(stopped)
	}()
	s.watch(stopped)
}

// settled is resident memory in MB when nothing runs, the tables are empty and
// what can be given back has been. Full tables would count what the engine
// knows of parts that were merged away, some 15 KB for each insert of the
// last minutes.
func (s *stress) settled() float64 {
	for _, w := range s.writers {
		mustExec(s.t, s.conn, "TRUNCATE TABLE "+w.table+" SYNC")
		w.unsure = true
	}
	mustExec(s.t, s.conn, "SYSTEM JEMALLOC PURGE")
	return resident()
}

// loop repeats step until ctx ends.
func (s *stress) loop(ctx context.Context, step func(context.Context) error) {
	for ctx.Err() == nil {
		if err := step(ctx); err != nil && ctx.Err() == nil {
			s.t.Error(err)
			return
		}
		s.progress.Add(1)
	}
}

// collect forces garbage collections.
func collect(ctx context.Context) {
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			runtime.GC()
		}
	}
}

// watch reports on the process until the steps have stopped, and breaks the
// test off if nothing gets done.
func (s *stress) watch(stopped <-chan struct{}) {
	report := time.NewTicker(s.report)
	defer report.Stop()
	stall := time.NewTicker(stressStall)
	defer stall.Stop()
	last := int64(-1)
	for {
		select {
		case <-stopped:
			return
		case <-report.C:
			s.t.Logf("%4.0f s: resident %.0f MB, Go heap %.0f MB, %d rows, %d queries",
				time.Since(s.began).Seconds(), resident(), goHeap(), s.rows.Load(), s.queries.Load())
		case <-stall.C:
			now := s.progress.Load()
			if now == last {
				_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
				panic(fmt.Sprintf("nothing was done for %v", stressStall))
			}
			last = now
		}
	}
}

// resident is the process's resident memory in MB, what can be given back
// given back.
func resident() float64 {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kb / 1024
}

func goHeap() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse) / (1 << 20)
}

// writer inserts batches into a table of its own and counts them.
type writer struct {
	*stress
	table  string
	have   uint64
	unsure bool // an insert was under way when its context ended
}

func newWriter(s *stress, i int) *writer {
	w := &writer{stress: s, table: "w" + strconv.Itoa(i)}
	err := s.conn.Exec(s.t.Context(), "CREATE TABLE "+w.table+" (id UInt64, at DateTime64(3), name String, x Float64) ENGINE = MergeTree ORDER BY (name, at)")
	if err != nil {
		s.t.Error(err)
	}
	return w
}

func (w *writer) step(ctx context.Context) error {
	if w.unsure {
		if err := w.conn.QueryRow(ctx, "SELECT count() FROM "+w.table).Scan(&w.have); err != nil {
			return fmt.Errorf("counting: %w", err)
		}
		w.unsure = false
	}
	if w.have > stressKeep {
		w.unsure = true
		return w.conn.Exec(ctx, "TRUNCATE TABLE "+w.table)
	}
	if rand.IntN(4) == 0 {
		return w.torn(ctx)
	}
	batch, err := w.conn.PrepareBatch(ctx, "INSERT INTO "+w.table+" (id, at, name, x)")
	if err != nil {
		return fmt.Errorf("preparing a batch: %w", err)
	}
	n := 1 + rand.IntN(5000)
	for i := range n {
		if err := batch.Append(uint64(i), time.Now(), fmt.Sprintf("session %d;\n", i%50), rand.Float64()); err != nil {
			return fmt.Errorf("filling a batch: %w", err)
		}
	}
	w.unsure = true
	if err := batch.Send(); err != nil {
		return fmt.Errorf("sending a batch: %w", err)
	}
	w.unsure = false
	w.rows.Add(int64(n))
	w.have += uint64(n)
	return w.count(ctx)
}

// torn is an insert whose data break off, of which nothing may stay.
func (w *writer) torn(ctx context.Context) error {
	broken := errors.New("broken on purpose")
	data := io.MultiReader(strings.NewReader(strings.Repeat("1,2026-01-01 00:00:00.000,torn,1\n", 1+rand.IntN(20_000))), failingReader{broken})
	if err := w.conn.InsertFormat(ctx, "CSV", "INSERT INTO "+w.table, data); !errors.Is(err, broken) {
		return fmt.Errorf("a torn insert returned %w", err)
	}
	w.given.Add(1)
	return w.count(ctx)
}

func (w *writer) count(ctx context.Context) error {
	var n uint64
	if err := w.conn.QueryRow(ctx, "SELECT count() FROM "+w.table).Scan(&n); err != nil {
		return fmt.Errorf("counting: %w", err)
	}
	w.queries.Add(1)
	if n != w.have {
		return fmt.Errorf("%s has %d rows, want %d", w.table, n, w.have)
	}
	return nil
}

func (s *stress) read(ctx context.Context) error {
	table := "w" + strconv.Itoa(rand.IntN(stressWriters))
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_threads": 1 + rand.IntN(2)}))
	rows, err := s.conn.Query(ctx, "SELECT id, at, x FROM "+table+" WHERE name = {name:String} ORDER BY at DESC LIMIT {n:UInt32}",
		clickhouse.Named("name", "session 7;\n"), clickhouse.Named("n", 100))
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uint64
		var at time.Time
		var x float64
		if err := rows.Scan(&id, &at, &x); err != nil {
			return fmt.Errorf("scanning: %w", err)
		}
	}
	s.queries.Add(1)
	return rows.Err()
}

// cancelled is a long query whose context ends somewhere on the way.
func (s *stress) cancelled(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(40_000))*time.Microsecond)
	defer cancel()
	var n uint64
	err := s.conn.QueryRow(short, "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1").Scan(&n)
	if !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("a query past its deadline returned %w", err)
	}
	s.given.Add(1)
	return nil
}

// abandoned is a stream that is closed before its end.
func (s *stress) abandoned(ctx context.Context) error {
	format := []string{"Native", "JSONEachRow", "Parquet"}[rand.IntN(3)]
	stream, err := s.conn.QueryFormat(ctx, format, "SELECT number, toString(number) FROM numbers(50000000)")
	if err != nil {
		return fmt.Errorf("opening a stream: %w", err)
	}
	_, err = io.CopyN(io.Discard, stream, rand.Int64N(1<<20))
	s.given.Add(1)
	return errors.Join(err, stream.Close())
}

func (s *stress) formats(ctx context.Context) error {
	stream, err := s.conn.QueryFormat(ctx, "CSVWithNames", "SELECT number FROM numbers(200000) SETTINGS max_block_size = 1000")
	if err != nil {
		return fmt.Errorf("opening a stream: %w", err)
	}
	data, err := io.ReadAll(stream)
	if lines := bytes.Count(data, []byte("\n")); err == nil && lines != 200_001 {
		err = fmt.Errorf("a CSV of 200,000 rows has %d lines", lines)
	}
	s.queries.Add(1)
	return errors.Join(err, stream.Close())
}

// failures are statements that fail, before a result and after its beginning.
func (s *stress) failures(ctx context.Context) error {
	for sql, code := range map[string]int32{
		"SELECT * FROM nowhere": 60,
		"SELECT 'x":             62,
		"SELECT throwIf(number = 300000) FROM numbers(400000) SETTINGS max_block_size = 10000, max_threads = 1": 395,
	} {
		rows, err := s.conn.Query(ctx, sql)
		if err == nil {
			for rows.Next() {
			}
			err = errors.Join(rows.Err(), rows.Close())
		}
		if ex, ok := errors.AsType[*clickhouse.Exception](err); !ok || ex.Code != code {
			return fmt.Errorf("%s: want code %d, got %w", sql, code, err)
		}
		s.failed.Add(1)
	}
	return nil
}
