package embedded_test

import (
	"context"
	"log"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema/embedded"
)

var engine *embedded.Engine

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "embedded")
	if err != nil {
		log.Fatal(err)
	}
	if engine, err = embedded.Open(dir, embedded.Options{Connections: 4}); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	if err := engine.Close(); err != nil {
		log.Print(err)
		code = 1
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func open(t *testing.T, database string) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(engine.ClientOptions(database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestQuick(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := open(t, "")
	if err := c.Exec(ctx, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	b, err := c.PrepareBatch(ctx, "INSERT INTO t (a, s)")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		b.Append(uint64(i), "x;y")
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	var n, sum uint64
	if err := c.QueryRow(clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"m": "500"}), clickhouse.WithSettings(clickhouse.Settings{"max_threads": 1})),
		"SELECT count(), sum(a) FROM t WHERE a < {m:UInt64}").Scan(&n, &sum); err != nil {
		t.Fatal(err)
	}
	t.Log(n, sum)
	v, err := c.ServerVersion()
	t.Log(v, err)
	err = c.QueryRow(ctx, "SELECT * FROM nosuch").Err()
	t.Log(err)
	var mt string
	if err := c.QueryRow(ctx, "SELECT toString(getSetting('max_threads'))").Scan(&mt); err != nil {
		t.Fatal(err)
	}
	t.Log(mt)
	err = c.Exec(ctx, "INSERT INTO t SELECT number, 'a' FROM numbers(10)")
	t.Log(err)
	err = c.Exec(ctx, "INSERT INTO t VALUES (1,'a;b'), (2, 'c')")
	t.Log(err)
	c.QueryRow(ctx, "SELECT count() FROM t").Scan(&n)
	t.Log(n)
	err = c.QueryRow(ctx, "SELECT throwIf(number=3000000) FROM numbers(10000000)").Err()
	t.Log(err)
	rows, err := c.Query(ctx, "SELECT throwIf(number=3000000) FROM numbers(10000000) settings max_threads=1")
	t.Log(err)
	k := 0
	for rows.Next() {
		k++
	}
	t.Log(k, rows.Err())
}
