package embedded_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema/embedded"
)

// engine is shared by the tests, since a process can have only one; each test
// has a database of its own. Tests that need another engine run themselves
// again as another process, see lifecycle_test.go.
var (
	engine    *embedded.Engine
	engineDir string
)

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		os.Exit(runHelper())
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if engineDir, err = os.MkdirTemp("", "embedded"); err != nil {
		log.Print(err)
		return 1
	}
	defer os.RemoveAll(engineDir)
	if engine, err = embedded.Open(engineDir, embedded.Options{Connections: engineConnections}); err != nil {
		log.Print(err)
		return 1
	}
	code := m.Run()
	if err := engine.Close(); err != nil {
		log.Print(err)
		return 1
	}
	return code
}

// open returns a client of the shared engine.
func open(t testing.TB, database string) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(engine.ClientOptions(database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// engineConnections is small, so that tests can use up all of them.
const engineConnections = 6

var databases atomic.Int64

// newDatabase makes an empty database for one test.
func newDatabase(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	conn := open(t, "")
	mustExec(t, conn, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		if err := conn.Exec(context.WithoutCancel(t.Context()), "DROP DATABASE "+name+" SYNC"); err != nil {
			t.Error(err)
		}
	})
	return name
}

// withTimeout is the context of a statement of a test.
func withTimeout(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func mustExec(t testing.TB, conn driver.Conn, sql string) {
	t.Helper()
	if err := conn.Exec(withTimeout(t), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// scalar runs a query for one value.
func scalar[T any](t testing.TB, conn driver.Conn, sql string) T {
	t.Helper()
	var value T
	if err := conn.QueryRow(withTimeout(t), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// failingReader is a reader that fails at once.
type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
