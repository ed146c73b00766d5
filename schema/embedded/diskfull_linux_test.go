package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema/embedded"
)

func init() { helpers["full"] = helpFull }

// errNoMount is reported by a helper that may not mount anything here.
const errNoMount = "no mount"

// helpFull fills a disk of 24 MB up to what an insert must leave of it and checks
// that what was acknowledged is there, that what failed is not, and that work goes
// on when there is room. What merges need is left, as one that meets a full disk
// may leave a part that cannot be read.
func helpFull(dir string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		return fmt.Errorf("%s: %w", errNoMount, err)
	}
	return use(filepath.Join(dir, "data"), func(e *embedded.Engine) error {
		conn, err := clickhouse.Open(e.ClientOptions(""))
		if err != nil {
			return err
		}
		defer conn.Close()
		ctx := context.Background()
		if err := conn.Exec(ctx, "CREATE TABLE t (a UInt64, b UInt64) ENGINE = MergeTree ORDER BY a PARTITION BY a % 3 SETTINGS min_free_disk_bytes_to_perform_insert = 8000000"); err != nil {
			return err
		}
		acknowledged, err := fillUp(ctx, conn)
		if ex, ok := errors.AsType[*clickhouse.Exception](err); !ok || ex.Code == 0 {
			return fmt.Errorf("the full disk was reported as %w", err)
		}
		var n uint64
		if err := conn.QueryRow(ctx, "SELECT uniqExact(b) FROM t").Scan(&n); err != nil || n < acknowledged {
			return fmt.Errorf("%d rows were acknowledged, %d are there (%w)", acknowledged, n, err)
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
			return fmt.Errorf("making room: %w", err)
		}
		return insertRandom(ctx, conn, 1000)
	})
}

// fillUp inserts until an insert fails.
func fillUp(ctx context.Context, conn driver.Conn) (acknowledged uint64, err error) {
	for {
		const rows = 50_000
		if err := insertRandom(ctx, conn, rows); err != nil {
			return acknowledged, err
		}
		acknowledged += rows
	}
}

// insertRandom inserts what cannot be compressed.
func insertRandom(ctx context.Context, conn driver.Conn, rows int) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
	if err != nil {
		return err
	}
	for range rows {
		if err := batch.Append(rand.Uint64(), rand.Uint64()); err != nil {
			return err
		}
	}
	return batch.Send()
}

func TestAFullDiskIsAnErrorAndNothingIsLost(t *testing.T) {
	t.Parallel()
	cmd := helper(t, "full", t.TempDir())
	// A name space of its own lets it mount a disk that is small, without
	// being root.
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || strings.Contains(string(out), errNoMount) {
		t.Skipf("a small disk cannot be mounted here: %v %s", err, out)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
