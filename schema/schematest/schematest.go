// Package schematest gives tests a fresh, migrated database on a real ClickHouse: the embedded
// engine, a server or a cluster, as the environment variable LASTSEEN_TEST_LAYOUT says.
package schematest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema"
	"lastseen/schema/clickhousetest"
)

// Main runs a package's tests, then what else is to be ended, and then ends the ClickHouse that they used and removes its
// data. A package that calls Open has `func TestMain(m *testing.M) { schematest.Main(m) }`.
func Main(m *testing.M, end ...func()) {
	code := m.Run()
	for _, f := range end {
		f()
	}
	if err := Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "end the ClickHouse under test:", err)
		code = 1
	}
	os.Exit(code)
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
	db, err := Connected(ctx, tb, options)
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

// Connected opens a database on the ClickHouse under test as schema.Open does, and nothing more: the caller
// migrates and closes it, and it is not dropped.
func Connected(ctx context.Context, tb testing.TB, options schema.Options) (*schema.DB, error) {
	if Layout() == Embedded {
		return schema.OpenOn(ctx, Engine(tb), options)
	}
	options.ClickHouse, options.Cluster = Address(tb), Cluster()
	return schema.Open(ctx, options)
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
	return clickhouse.Open(machines(tb, database)[0])
}

func serverOptions(server *clickhousetest.Server, database string) *clickhouse.Options {
	return &clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{server.Address()}, Auth: clickhouse.Auth{Database: database}}
}

// Exec runs a statement in a test's database that no code of ours would.
func Exec(tb testing.TB, db *schema.DB, statement string) {
	tb.Helper()
	conn := Connect(tb, db)
	defer conn.Close()
	ctx := context.Background()
	if Cluster() != "" { // what is inserted is to be there when it returns, on whichever shard
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"distributed_foreground_insert": 1}))
	}
	if err := conn.Exec(ctx, statement); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}

// ExecLocal runs a statement about a table on every machine that holds its rows; %s in it is the table.
func ExecLocal(tb testing.TB, db *schema.DB, statement, table string) {
	tb.Helper()
	if Cluster() != "" {
		table += "_local"
	}
	for _, options := range machines(tb, db.Database()) {
		conn, err := clickhouse.Open(options)
		if err == nil {
			err = errors.Join(conn.Exec(context.Background(), fmt.Sprintf(statement, table)), conn.Close())
		}
		if err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
}

// machines are the options of connections to every machine under test.
func machines(tb testing.TB, database string) (all []*clickhouse.Options) {
	if Layout() == Embedded {
		return append(all, Engine(tb).ClientOptions(database))
	}
	for _, server := range servers(tb) {
		all = append(all, serverOptions(server, database))
	}
	return all
}

// BreakTable takes a table away, so that statements that use it fail, until mend is called.
func BreakTable(tb testing.TB, db *schema.DB, table string) (mend func()) {
	tb.Helper()
	Exec(tb, db, "RENAME TABLE "+table+" TO "+table+"_away")
	return func() { Exec(tb, db, "RENAME TABLE "+table+"_away TO "+table) }
}

// drop removes a test's database, from every machine. The second drop of a database that a test opened
// twice finds nothing.
func drop(tb testing.TB, database string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, options := range machines(tb, "default") {
		conn, err := clickhouse.Open(options)
		if err == nil {
			err = errors.Join(conn.Exec(ctx, "DROP DATABASE IF EXISTS "+database+" SYNC"), conn.Close())
		}
		if err != nil {
			tb.Errorf("drop the test database: %v", err)
		}
	}
}
