package decode

import (
	"bytes"
	"strings"
	"testing"
)

func BenchmarkDecode(b *testing.B) {
	const points = 500
	lines := ndjson(points)
	array := "[" + strings.ReplaceAll(strings.TrimSpace(lines), "\n", ",") + "]"
	for _, bench := range []struct {
		name     string
		body     string
		format   Format
		encoding Encoding
	}{
		{"NDJSON", lines, NDJSON, Identity},
		{"JSON", array, JSON, Identity},
		{"NDJSON+gzip", lines, NDJSON, Gzip},
		{"NDJSON+zstd", lines, NDJSON, Zstd},
	} {
		b.Run(bench.name, func(b *testing.B) {
			data := compressors[bench.encoding](b, []byte(bench.body))
			b.SetBytes(int64(len(bench.body)))
			b.ReportAllocs()
			var reader bytes.Reader
			for b.Loop() {
				reader.Reset(data)
				batch, err := Body(&reader, bench.format, bench.encoding, Limits{})
				if err != nil {
					b.Fatal(err)
				}
				batch.Release()
			}
			b.ReportMetric(points*float64(b.N)/b.Elapsed().Seconds(), "points/s")
		})
	}
}
