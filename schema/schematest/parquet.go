package schematest

import (
	"bytes"
	"context"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// ReadParquet opens a Parquet file with Arrow's library. The reader lasts as long as the test.
func ReadParquet(tb testing.TB, content []byte) array.RecordReader {
	tb.Helper()
	parquet, err := file.NewParquetReader(bytes.NewReader(content))
	if err != nil {
		tb.Fatal(err)
	}
	defer parquet.Close()
	reader, err := pqarrow.NewFileReader(parquet, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		tb.Fatal(err)
	}
	table, err := reader.ReadTable(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(table.Release)
	batches := array.NewTableReader(table, 0)
	tb.Cleanup(batches.Release)
	return batches
}
