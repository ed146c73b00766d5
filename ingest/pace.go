package ingest

import "time"

const (
	// DefaultInterval is the time between the starts of two small inserts unless a Writer's options say
	// otherwise. Each insert costs ClickHouse several milliseconds, and the merges that follow it more,
	// whatever its size (docs/benchmarks.md, ingest).
	DefaultInterval = 100 * time.Millisecond
	// smallGroup is how many points make an insert worth its fixed costs.
	smallGroup = 2_000
)

// pace decides when the next insert begins, which is a trade of the time to an acknowledgement for the
// number of inserts. It belongs to the Writer's goroutine.
type pace struct {
	interval time.Duration
	began    time.Time // of the last insert
	ended    time.Time // of the last insert
	expected int       // points that wait when all who were answered come again
}

// inserted notes that an insert of so many points is over, and how many wait by now.
func (p *pace) inserted(began, ended time.Time, points, waiting int) {
	p.began, p.ended = began, ended
	p.expected = points + waiting
}

// due returns how long the next insert should still wait for company, given the points that wait and whether
// a request of somebody who writes alone is among them (see company.isAlone).
//
// Who writes alone never waits, nor who comes after a pause. A small group waits for the interval. A larger one waits for those who were just answered, who mostly
// write again at once, but at most as long as the last insert took: whoever misses a group waits for the whole
// of the next, and without it two halves of the writers would take turns.
func (p *pace) due(now time.Time, waiting int, alone bool) time.Duration {
	if alone {
		return 0
	}
	atInterval := p.began.Add(p.interval).Sub(now)
	switch {
	case waiting < smallGroup:
		return atInterval
	case waiting < p.expected:
		return min(atInterval, p.ended.Add(p.ended.Sub(p.began)).Sub(now))
	}
	return 0
}
