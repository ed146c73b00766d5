package loadgen

import "time"

// schedule says when requests are due: at evenly spaced times that no answer can move.
type schedule struct {
	interval float64 // nanoseconds between arrivals
	phase    float64 // of the first arrival, nanoseconds
	next     int64   // the number of the arrival that is due next
}

// newSchedule spaces rate arrivals a second, of which this is the part of one of several workers:
// the workers' arrivals fall between each other's.
func newSchedule(rate float64, worker, workers int) *schedule {
	interval := float64(time.Second) * float64(workers) / rate
	return &schedule{interval: interval, phase: interval * float64(worker) / float64(workers)}
}

// due returns when the next arrival is due, counted from the start of the run.
func (s *schedule) due() time.Duration {
	return time.Duration(s.phase + float64(s.next)*s.interval)
}

// advance moves on to the arrival after the next one.
func (s *schedule) advance() {
	s.next++
}

// skipTo drops the arrivals that were due before now, and returns how many they were.
func (s *schedule) skipTo(now time.Duration) (dropped int64) {
	for s.due() <= now {
		s.advance()
		dropped++
	}
	return dropped
}
