package embedded_test

import (
	"fmt"
	"runtime"
	"testing"
)

// Removing parts is done by as many threads as merge: each of them wants the folder of the table, and so do inserts, which
// wait for all that came before them.
func TestFewThreadsRemoveParts(t *testing.T) {
	t.Parallel()
	const parts = 120 // from 100 on more than one thread removes them
	conn := open(t, newDatabase(t))
	most, few := int64(0), int64(max(1, runtime.NumCPU()/2))
	for range 5 {
		mustExec(t, conn, "CREATE TABLE t (n UInt64) ENGINE = MergeTree PARTITION BY n ORDER BY n")
		mustExec(t, conn, fmt.Sprintf("INSERT INTO t SELECT number FROM numbers(%d) SETTINGS max_partitions_per_insert_block = 0", parts))
		dropped := make(chan error, 1)
		go func() { dropped <- conn.Exec(withTimeout(t), "DROP TABLE t SYNC") }()
		for gone := false; !gone; {
			most = max(most, scalar[int64](t, conn, "SELECT value FROM system.metrics WHERE metric = 'MergeTreePartsCleanerThreadsActive'"))
			select {
			case err := <-dropped:
				if err != nil {
					t.Fatal(err)
				}
				gone = true
			default:
			}
		}
		if most > 0 {
			break
		}
	}
	if most < 1 || most > few {
		t.Errorf("%d threads removed %d parts, want 1 to %d", most, parts, few)
	}
}
