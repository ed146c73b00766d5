package embedded_test

import (
	"context"
	"io"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func BenchmarkSelectOne(b *testing.B) {
	conn := open(b, "")
	b.ReportAllocs()
	for b.Loop() {
		var one uint8
		if err := conn.QueryRow(context.Background(), "SELECT 1").Scan(&one); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPointRead(b *testing.B) {
	conn := open(b, newDatabase(b))
	mustExec(b, conn, "CREATE TABLE t (id UInt64, at DateTime64(3), x Float64) ENGINE = MergeTree ORDER BY (id, at)")
	mustExec(b, conn, "INSERT INTO t SELECT number % 1000, toDateTime64(number, 3), number FROM numbers(1000000)")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var x float64
			if err := conn.QueryRow(context.Background(), "SELECT x FROM t WHERE id = {id:UInt64} ORDER BY at DESC LIMIT 1",
				clickhouse.Named("id", 7)).Scan(&x); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkInsertBatch(b *testing.B) {
	const rows = 1000
	conn := open(b, newDatabase(b))
	mustExec(b, conn, "CREATE TABLE t (id UInt64, x Float64) ENGINE = MergeTree ORDER BY id")
	b.SetBytes(rows * 16)
	b.ReportAllocs()
	for b.Loop() {
		batch, err := conn.PrepareBatch(context.Background(), "INSERT INTO t")
		if err != nil {
			b.Fatal(err)
		}
		for i := range rows {
			if err := batch.Append(uint64(i), float64(i)); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			b.Fatal(err)
		}
	}
}

// The two ways in which a result comes out of the engine.
func BenchmarkStream(b *testing.B) {
	for _, format := range []string{"Native", "RowBinary"} {
		b.Run(format, func(b *testing.B) {
			const rows = 5_000_000
			conn := open(b, "")
			b.SetBytes(rows * 16)
			b.ReportAllocs()
			for b.Loop() {
				stream, err := conn.QueryFormat(context.Background(), format, "SELECT number, number + 1 FROM numbers(5000000) SETTINGS max_threads = 1")
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, stream); err != nil || n < rows*16 {
					b.Fatalf("%d bytes: %v", n, err)
				}
				if err := stream.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
