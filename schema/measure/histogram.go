package measure

import (
	"sync/atomic"
	"time"
)

// MaxBounds is how many bounds a Histogram may have.
const MaxBounds = 23

// Histogram sorts values into buckets. It must be made by NewHistogram. It is safe for concurrent use.
type Histogram struct {
	bounds  []int64
	stripes [stripeCount]histogramStripe
}

type histogramStripe struct {
	counts [MaxBounds + 1]atomic.Uint64 // the one after the last bound holds what is above all
	sum    atomic.Int64
	_      [56]byte
}

// NewHistogram returns a Histogram with buckets whose upper ends, inclusive, are the bounds: at most
// MaxBounds, ascending, in whatever unit the values have. It keeps the slice.
func NewHistogram(bounds []int64) *Histogram {
	if len(bounds) > MaxBounds {
		panic("measure: too many bounds")
	}
	return &Histogram{bounds: bounds}
}

// DurationBounds returns bounds in nanoseconds from 50 µs to 30 s, for what takes a request's time.
func DurationBounds() []int64 {
	return inNanoseconds(50*time.Microsecond, 100*time.Microsecond, 200*time.Microsecond, 500*time.Microsecond,
		time.Millisecond, 2*time.Millisecond, 5*time.Millisecond, 10*time.Millisecond, 20*time.Millisecond, 50*time.Millisecond,
		100*time.Millisecond, 200*time.Millisecond, 500*time.Millisecond,
		time.Second, 2*time.Second, 5*time.Second, 10*time.Second, 30*time.Second)
}

// LagBounds returns bounds in nanoseconds from 10 ms to a day, for how far behind something is.
func LagBounds() []int64 {
	return inNanoseconds(10*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond,
		time.Second, 2*time.Second, 5*time.Second, 10*time.Second, 30*time.Second,
		time.Minute, 5*time.Minute, 15*time.Minute, time.Hour, 6*time.Hour, 24*time.Hour)
}

// SizeBounds returns bounds from 1 to 100,000, for how many there are of something.
func SizeBounds() []int64 {
	return []int64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000}
}

func inNanoseconds(bounds ...time.Duration) []int64 {
	numbers := make([]int64, len(bounds))
	for i, bound := range bounds {
		numbers[i] = int64(bound)
	}
	return numbers
}

// Observe counts a value.
func (h *Histogram) Observe(value int64) {
	bucket := 0
	for bucket < len(h.bounds) && value > h.bounds[bucket] {
		bucket++
	}
	s := &h.stripes[stripe()]
	s.counts[bucket].Add(1)
	s.sum.Add(value)
}

// ObserveSince counts the time that has passed since a moment, in nanoseconds.
func (h *Histogram) ObserveSince(began time.Time) { h.Observe(int64(time.Since(began))) }

// Distribution is what a Histogram has counted. It is the caller's.
type Distribution struct {
	Bounds []int64  // shared with the Histogram: not to be changed
	Counts []uint64 // by bucket, not cumulative; one more than Bounds, for what is above all
	Sum    int64    // of the values
}

// Count returns the number of values.
func (d *Distribution) Count() (n uint64) {
	for _, count := range d.Counts {
		n += count
	}
	return n
}

// Distribution returns what was counted. What is counted meanwhile may be in one part of it only.
func (h *Histogram) Distribution() Distribution {
	d := Distribution{Bounds: h.bounds, Counts: make([]uint64, len(h.bounds)+1)}
	for i := range h.stripes {
		s := &h.stripes[i]
		for bucket := range d.Counts {
			d.Counts[bucket] += s.counts[bucket].Load()
		}
		d.Sum += s.sum.Load()
	}
	return d
}
