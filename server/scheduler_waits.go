package server

import (
	"runtime/metrics"
	"slices"
	"time"
)

// schedulerWaits says how long goroutines wait for a processor, from Go's own histogram of that.
type schedulerWaits struct {
	sample []metrics.Sample
	before []uint64 // counts by bucket at the last call
}

// leastWaits is how many waits say something.
const leastWaits = 100

func newSchedulerWaits() *schedulerWaits {
	w := &schedulerWaits{sample: []metrics.Sample{{Name: "/sched/latencies:seconds"}}}
	w.since()
	return w
}

// since returns what nine of ten goroutines have waited at most since the last call, and 0 when too few waited to tell.
// It takes some microseconds.
func (w *schedulerWaits) since() (of9in10 time.Duration) {
	metrics.Read(w.sample)
	histogram := w.sample[0].Value.Float64Histogram()
	counts := histogram.Counts
	if w.before == nil {
		w.before = slices.Clone(counts)
		return 0
	}
	total := uint64(0)
	for i, n := range counts {
		total += n - w.before[i]
	}
	sum, at := uint64(0), 0
	for ; at < len(counts)-1 && sum*10 < total*9; at++ {
		sum += counts[at] - w.before[at]
	}
	copy(w.before, counts)
	if total < leastWaits {
		return 0
	}
	return time.Duration(histogram.Buckets[at] * float64(time.Second))
}
