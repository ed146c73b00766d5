package embedded_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

const (
	// insertsKept is how many inserts a table in memory gathers before it is counted and emptied: each costs a look at all of them.
	insertsKept = 500
	// insertsCounted is how many inserts a table on the disk gathers before its rows are counted.
	insertsCounted = 2_000
	// insertsGrowth is how much resident memory may grow in the second half, in MB. Before that caches still fill.
	insertsGrowth = 64
	// insertsReports is how many times the test says how it goes.
	insertsReports = 10
)

// TestMillionsOfInserts makes LASTSEEN_STRESS_INSERTS inserts of one to eight rows: each leaves a thread of the engine's
// pool without its status for a moment (see lease.insert), so what that may harm must show in a great many of them. A writer
// fills a MergeTree table, which is merged meanwhile, and two fill tables in memory, which are faster. It fails when a row is lost
// or doubled, or when resident memory goes on growing.
func TestMillionsOfInserts(t *testing.T) {
	text := os.Getenv("LASTSEEN_STRESS_INSERTS")
	if text == "" {
		t.Skip("takes ten minutes for a million: run make stress-inserts")
	}
	wanted, err := strconv.ParseInt(text, 10, 64)
	if err != nil || wanted < insertsReports {
		t.Fatalf("LASTSEEN_STRESS_INSERTS must be a number such as 1000000: %q", text)
	}
	s := &insertStress{stress: &stress{t: t, conn: open(t, newDatabase(t)), began: time.Now()}, wanted: wanted}
	s.create("stored", "MergeTree ORDER BY id", insertsCounted)
	s.create("kept_1", "Memory", insertsKept)
	s.create("kept_2", "Memory", insertsKept)

	var rested []float64 // resident memory after the first tenth, after half and at the end
	for i := int64(1); i <= insertsReports; i++ {
		s.until(wanted * i / insertsReports)
		if i == 1 || i == insertsReports/2 || i == insertsReports {
			rested = append(rested, s.settledInserts())
		} else {
			s.say()
		}
	}
	t.Logf("%d inserts, %d of them into a MergeTree table; resident memory at rest: %.0f MB (the second half may add %d)",
		s.made.Load(), s.stored.Load(), rested, insertsGrowth)
	if grown := rested[2] - rested[1]; grown > insertsGrowth {
		t.Errorf("resident memory grew by %.0f MB in the second half", grown)
	}
}

// insertStress is a stress that only inserts.
type insertStress struct {
	*stress
	wanted       int64
	made, stored atomic.Int64
	tables       []*insertTable
}

// insertTable is a table with its one writer.
type insertTable struct {
	name    string
	kept    int // inserts after which it is counted
	onDisk  bool
	inserts int
	rows    uint64
}

func (s *insertStress) create(name, engine string, kept int) {
	mustExec(s.t, s.conn, "CREATE TABLE "+name+" (id UInt64, at DateTime64(3), name String) ENGINE = "+engine)
	s.tables = append(s.tables, &insertTable{name: name, kept: kept, onDisk: engine != "Memory"})
}

// until inserts until so many inserts were made in all.
func (s *insertStress) until(made int64) {
	var wg sync.WaitGroup
	for _, table := range s.tables {
		wg.Go(func() {
			for s.made.Load() < made && !s.t.Failed() {
				if err := s.insert(s.t.Context(), table); err != nil {
					s.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// insert makes one insert, and counts the rows of the table now and then.
func (s *insertStress) insert(ctx context.Context, table *insertTable) error {
	rows := uint64(1 + table.inserts%8)
	var data strings.Builder
	for i := range rows {
		fmt.Fprintf(&data, "%d\t2026-11-27 12:00:00.000\tsession\n", table.rows+i)
	}
	// PrepareBatch would ask for the table's columns each time.
	if err := s.conn.InsertFormat(ctx, "TSV", "INSERT INTO "+table.name, strings.NewReader(data.String())); err != nil {
		return fmt.Errorf("inserting: %w", err)
	}
	table.rows += rows
	s.made.Add(1)
	if table.onDisk {
		s.stored.Add(1)
	}
	if table.inserts++; table.inserts%table.kept != 0 {
		return nil
	}
	return s.check(ctx, table)
}

// check compares the rows of a table with those that were inserted, and empties a table in memory.
func (s *insertStress) check(ctx context.Context, table *insertTable) error {
	var rows, different uint64
	if err := s.conn.QueryRow(ctx, "SELECT count(), uniqExact(id) FROM "+table.name).Scan(&rows, &different); err != nil {
		return fmt.Errorf("counting: %w", err)
	}
	if rows != table.rows || different != table.rows {
		return fmt.Errorf("%s has %d rows with %d ids, want %d", table.name, rows, different, table.rows)
	}
	if table.onDisk && rows < stressKeep {
		return nil
	}
	table.rows = 0
	return s.conn.Exec(ctx, "TRUNCATE TABLE "+table.name)
}

// settledInserts is resident memory in MB when nothing runs, all rows have been counted and the tables are empty.
func (s *insertStress) settledInserts() float64 {
	for _, table := range s.tables {
		if err := s.check(s.t.Context(), table); err != nil {
			s.t.Error(err)
		}
		mustExec(s.t, s.conn, "TRUNCATE TABLE "+table.name+" SYNC")
		table.rows = 0
	}
	mustExec(s.t, s.conn, "SYSTEM JEMALLOC PURGE")
	s.say()
	return resident()
}

func (s *insertStress) say() {
	var tracked, threads float64
	for name, value := range map[string]*float64{"MemoryTracking": &tracked, "GlobalThreadActive": &threads} {
		var n int64
		if err := s.conn.QueryRow(s.t.Context(), "SELECT value FROM system.metrics WHERE name = {name:String}", clickhouse.Named("name", name)).Scan(&n); err != nil {
			s.t.Error(err)
		}
		*value = float64(n)
	}
	s.t.Logf("%4.0f s: %d inserts, resident %.0f MB, the engine's own count %.0f MB, Go heap %.0f MB, the engine's active threads %.0f",
		time.Since(s.began).Seconds(), s.made.Load(), resident(), tracked/(1<<20), goHeap(), threads)
}
