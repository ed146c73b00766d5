package wire_test

import (
	"testing"

	"lastseen/query/querytest"
	"lastseen/query/wire"
	"lastseen/schema"
)

func BenchmarkAppendDataPoint(b *testing.B) {
	p := querytest.At(schema.NewID(), 1).DataPoint
	p.ReceivedAt += 123
	p.Altitude, p.Temperature, p.Speed, p.Heading, p.Accuracy, p.Battery = 5123, 4.5, 1250, 900, 85, 9100
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buffer = wire.AppendDataPoint(buffer[:0], &p)
	}
	b.SetBytes(int64(len(buffer)))
}
