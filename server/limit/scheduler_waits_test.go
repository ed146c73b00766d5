package limit

import (
	"math"
	"runtime/metrics"
	"testing"
	"time"
)

func TestTheNinthTenthOfWaits(t *testing.T) {
	t.Parallel()
	buckets := []float64{0, 0.001, 0.002, 0.004, math.Inf(1)}
	before := []uint64{5, 5, 5, 5}
	for _, test := range []struct {
		after []uint64
		want  time.Duration
	}{
		{[]uint64{5, 5, 5, 5}, 0},
		{[]uint64{5, 24, 5, 5}, 0}, // too few
		{[]uint64{105, 5, 5, 5}, time.Millisecond},
		{[]uint64{95, 15, 5, 5}, time.Millisecond},
		{[]uint64{94, 16, 5, 5}, 2 * time.Millisecond},
		{[]uint64{5, 5, 105, 5}, 4 * time.Millisecond},
		{[]uint64{5, 5, 5, 105}, 4 * time.Millisecond}, // what is longer has no end
	} {
		if got := ninthTenth(&metrics.Float64Histogram{Counts: test.after, Buckets: buckets}, before); got != test.want {
			t.Errorf("%v: %v, want %v", test.after, got, test.want)
		}
	}
}

func TestSchedulerWaitsAreMeasured(t *testing.T) {
	t.Parallel()
	w := newSchedulerWaits()
	for range 100 * leastWaits {
		done := make(chan struct{})
		go close(done)
		<-done
	}
	if wait := w.since(); wait <= 0 {
		t.Errorf("goroutines waited %v", wait)
	}
}
