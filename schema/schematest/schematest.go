// Package schematest gives tests a fresh, migrated database on a real ClickHouse: the embedded
// engine, or the server that the environment variable LASTSEEN_TEST_CLICKHOUSE names.
package schematest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema"
	"lastseen/schema/embedded"
)

// engine is the one engine of this test process; a database a test keeps tests apart.
var engine struct {
	once sync.Once
	dir  string
	open *embedded.Engine
	err  error
}

// Main runs a package's tests and then closes the engine and removes its data. A package that calls
// Open has `func TestMain(m *testing.M) { schematest.Main(m) }`.
func Main(m *testing.M) {
	code := m.Run()
	if engine.open != nil {
		if err := engine.open.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close the test engine:", err)
			code = 1
		}
	}
	if engine.dir != "" {
		os.RemoveAll(engine.dir)
	}
	os.Exit(code)
}

// Engine returns the process's embedded engine, which Main closes.
func Engine(tb testing.TB) *embedded.Engine {
	tb.Helper()
	engine.once.Do(func() {
		engine.dir, engine.err = os.MkdirTemp("", "lastseen-test-")
		if engine.err == nil {
			engine.open, engine.err = embedded.Open(filepath.Join(engine.dir, "clickhouse"), embedded.Options{Connections: 8})
		}
	})
	if engine.err != nil {
		tb.Fatalf("open the embedded engine: %v", engine.err)
	}
	return engine.open
}

// Open returns a migrated database of the test's own, which is dropped when the test ends.
func Open(tb testing.TB) *schema.DB {
	tb.Helper()
	return OpenNamed(tb, "test_"+schema.NewID().String())
}

// OpenNamed opens the database of a given name, made and migrated if it is absent: a test that opens
// the same name again sees what a restarted service would. The connection is closed and the
// database dropped when the test ends.
func OpenNamed(tb testing.TB, database string) *schema.DB {
	tb.Helper()
	return OpenWith(tb, schema.Options{Database: database})
}

// OpenWith is OpenNamed with more options than the name of the database.
func OpenWith(tb testing.TB, options schema.Options) *schema.DB {
	tb.Helper()
	options.NoFsync = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, err := open(ctx, tb, options)
	if err != nil {
		tb.Fatalf("open the test database: %v", err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close the test database: %v", err)
		}
		drop(tb, options.Database)
	})
	if err := db.Migrate(ctx); err != nil {
		tb.Fatalf("migrate the test database: %v", err)
	}
	return db
}

func open(ctx context.Context, tb testing.TB, options schema.Options) (*schema.DB, error) {
	if address := os.Getenv("LASTSEEN_TEST_CLICKHOUSE"); address != "" {
		options.ClickHouse = address
		return schema.Open(ctx, options)
	}
	return schema.OpenOn(ctx, Engine(tb), options)
}

// Connect opens a connection of the test's own to its database, behind the back of package schema. The
// caller closes it.
func Connect(tb testing.TB, db *schema.DB) driver.Conn {
	tb.Helper()
	conn, err := connect(tb, db.Database())
	if err != nil {
		tb.Fatalf("connect to the test database: %v", err)
	}
	return conn
}

func connect(tb testing.TB, database string) (driver.Conn, error) {
	address := os.Getenv("LASTSEEN_TEST_CLICKHOUSE")
	if address == "" {
		return clickhouse.Open(Engine(tb).ClientOptions(database))
	}
	options, err := clickhouse.ParseDSN(address)
	if err != nil {
		return nil, errors.New("LASTSEEN_TEST_CLICKHOUSE is not an address")
	}
	options.Protocol, options.Auth.Database = clickhouse.HTTP, database
	return clickhouse.Open(options)
}

// Exec runs a statement in a test's database that no code of ours would.
func Exec(tb testing.TB, db *schema.DB, statement string) {
	tb.Helper()
	conn := Connect(tb, db)
	defer conn.Close()
	if err := conn.Exec(context.Background(), statement); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}

// BreakTable takes a table away, so that statements that use it fail, until mend is called.
func BreakTable(tb testing.TB, db *schema.DB, table string) (mend func()) {
	tb.Helper()
	Exec(tb, db, "RENAME TABLE "+table+" TO "+table+"_away")
	return func() { Exec(tb, db, "RENAME TABLE "+table+"_away TO "+table) }
}

// drop removes a test's database. The second drop of a database that a test opened twice finds nothing.
func drop(tb testing.TB, database string) {
	conn, err := connect(tb, "default")
	if err != nil {
		tb.Errorf("drop the test database: %v", err)
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+database+" SYNC"); err != nil {
		tb.Errorf("drop the test database: %v", err)
	}
}
