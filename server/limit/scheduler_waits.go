package limit

import (
	"runtime/metrics"
	"time"
)

// schedulerWaits says how long goroutines wait for a processor, from Go's own histogram of that.
type schedulerWaits struct {
	sample []metrics.Sample
	before []uint64 // counts by bucket at the last call
}

// leastWaits is how many waits say something. Go counts one in eight.
const leastWaits = 20

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
	if w.before == nil {
		w.before = make([]uint64, len(histogram.Counts))
	}
	of9in10 = ninthTenth(histogram, w.before)
	copy(w.before, histogram.Counts)
	return of9in10
}

// ninthTenth returns the end of the bucket in which nine tenths of what came after some counts of a histogram of seconds
// are reached, and 0 when less than leastWaits came.
func ninthTenth(histogram *metrics.Float64Histogram, before []uint64) time.Duration {
	total := uint64(0)
	for i, n := range histogram.Counts {
		total += n - before[i]
	}
	if total < leastWaits {
		return 0
	}
	sum, at := uint64(0), 0
	for ; at < len(histogram.Counts)-1 && sum*10 < total*9; at++ { // the last bucket has no end
		sum += histogram.Counts[at] - before[at]
	}
	return time.Duration(histogram.Buckets[at] * float64(time.Second))
}
