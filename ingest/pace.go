package ingest

import "time"

const (
	// DefaultInterval is the time between the starts of two small inserts unless a Writer's options say
	// otherwise. Each insert costs ClickHouse several milliseconds, and the merges that follow it more,
	// whatever its size (docs/benchmarks.md, ingest).
	DefaultInterval = 100 * time.Millisecond
	// smallGroup is how many points make an insert worth its fixed costs.
	smallGroup = 2_000
	// returnTime is how long those who were just answered take to write again, mostly.
	returnTime = 2 * time.Millisecond
)

// pace decides when the next insert begins, which is a trade of the time to an acknowledgement for the
// number of inserts. It belongs to the Writer's goroutine.
type pace struct {
	interval time.Duration
	began    time.Time // of the last insert
	ended    time.Time // of the last insert
	expected amount    // that waits when all who were answered come again
}

// amount is what waits for an insert, or was in it.
type amount struct{ requests, points int }

// inserted notes that an insert is over, what was in it and what waits by now.
func (p *pace) inserted(began, ended time.Time, written, waiting amount) {
	p.began, p.ended = began, ended
	p.expected = amount{written.requests + waiting.requests, written.points + waiting.points}
}

// due returns how long the next insert should still wait for company, given what waits, how many bodies began to be read
// since the last one and still are, and whether a request of somebody who writes alone is among what waits (see company.isAlone).
//
// Who writes alone waits for nobody but those who were just answered, and for a moment: otherwise two who write one request after the
// other would take turns, and each wait for the other's insert as well. Who comes after a pause does not wait. A small group waits for the interval, and where that is
// shorter than an insert for that moment too. A larger one waits for those who were just answered, who mostly
// write again at once, but at most as long as the last insert took: whoever misses a group waits for the whole
// of the next, and without it two halves of the writers would take turns. While some have come and their bodies are still being
// read, which is seen and not guessed, it waits for as long again, but no longer than the interval from the last insert's end.
func (p *pace) due(now time.Time, waiting amount, reading int, alone bool) time.Duration {
	var returning time.Duration
	if waiting.requests < p.expected.requests {
		returning = max(0, p.ended.Add(returnTime).Sub(now))
	}
	atInterval := p.began.Add(p.interval).Sub(now)
	switch {
	case alone:
		return returning
	case waiting.points < smallGroup:
		return max(atInterval, returning)
	case waiting.points < p.expected.points:
		took := p.ended.Sub(p.began)
		wait := min(atInterval, p.ended.Add(took).Sub(now))
		if reading > 0 {
			return max(wait, p.ended.Add(min(2*took, p.interval)).Sub(now))
		}
		return wait
	}
	return 0
}
