package measure_test

import (
	"testing"

	"lastseen/schema/measure"
)

func BenchmarkCounter(b *testing.B) {
	var counter measure.Counter
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			counter.Add(1)
		}
	})
}

func BenchmarkHistogram(b *testing.B) {
	histogram := measure.NewHistogram(measure.DurationBounds())
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			histogram.Observe(123_456)
		}
	})
}
