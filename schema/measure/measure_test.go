package measure_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lastseen/schema/measure"
)

func TestNothingIsLostHoweverManyCount(t *testing.T) {
	t.Parallel()
	const goroutines, rounds = 16, 1000
	var counter measure.Counter
	histogram := measure.NewHistogram([]int64{10, 20})
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range int64(rounds) {
				counter.Add(3)
				counter.Add(-1)
				histogram.Observe(i % 30)
			}
		})
	}
	all.Wait()
	if got := counter.Value(); got != 2*goroutines*rounds {
		t.Errorf("the counter says %d", got)
	}
	if d := histogram.Distribution(); d.Count() != goroutines*rounds {
		t.Errorf("the histogram has %d values", d.Count())
	}
}

func TestBoundsAreInclusive(t *testing.T) {
	t.Parallel()
	histogram := measure.NewHistogram([]int64{10, 20})
	for _, value := range []int64{-1, 10, 11, 20, 21, 1000} {
		histogram.Observe(value)
	}
	want := measure.Distribution{Bounds: []int64{10, 20}, Counts: []uint64{2, 2, 2}, Sum: 1061}
	if diff := cmp.Diff(want, histogram.Distribution()); diff != "" {
		t.Errorf("(- want, + got):\n%s", diff)
	}
}

func TestBoundsAscend(t *testing.T) {
	t.Parallel()
	for _, bounds := range [][]int64{measure.DurationBounds(), measure.LagBounds(), measure.SizeBounds()} {
		if len(bounds) > measure.MaxBounds {
			t.Errorf("%d bounds", len(bounds))
		}
		for i := 1; i < len(bounds); i++ {
			if bounds[i] <= bounds[i-1] {
				t.Errorf("%d comes after %d", bounds[i], bounds[i-1])
			}
		}
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	var counter measure.Counter
	histogram := measure.NewHistogram(measure.DurationBounds())
	allocations := testing.AllocsPerRun(1000, func() {
		counter.Add(1)
		histogram.Observe(123_456)
	})
	if allocations > 0 {
		t.Errorf("%.2f allocations", allocations)
	}
}
