package latest

import (
	"sync/atomic"
	"time"

	"lastseen/schema/measure"
)

// counts are what a Table counts.
type counts struct {
	lookups [Found + 1]measure.Counter // by status
	lag     *measure.Histogram
	saves   [2]atomic.Uint64 // that worked, and that failed
	loaded  atomic.Pointer[loaded]
}

// loaded is what Load has done, and how long it took.
type loaded struct {
	rows Progress
	took time.Duration
}

// look counts a look-up and returns its outcome.
func (c *counts) look(status Status) Status {
	c.lookups[status].Add(1)
	return status
}

// lookedAt counts look-ups by their outcome.
func (c *counts) lookedAt(outcomes *[Found + 1]int64) {
	for status, n := range outcomes {
		if n > 0 {
			c.lookups[status].Add(n)
		}
	}
}

func (c *counts) save(err error) {
	if err != nil {
		c.saves[1].Add(1)
		return
	}
	c.saves[0].Add(1)
}

// Stats counts what a Table has done since it was made.
type Stats struct {
	Sessions                     int    // in the table
	Hits                         uint64 // look-ups that showed a point
	Empty                        uint64 // look-ups of sessions that have none to show
	Misses                       uint64 // look-ups of what is not there for the caller
	Dirty                        int    // sessions that changed since the checkpoint was last saved
	CheckpointsSaved, SaveFaults uint64 // saves of the checkpoint that worked, and that failed
	// Lag is how old points were by their own timestamp when they came on show as the newest of
	// their session, in nanoseconds.
	Lag measure.Distribution

	// Loaded is what Load brought and LoadTime how long it took; zero until it has returned.
	Loaded   Progress
	LoadTime time.Duration
}

// Stats returns the counts, which may be off against each other by what happens meanwhile. It is safe
// for concurrent use.
func (t *Table) Stats() Stats {
	c := &t.counts
	stats := Stats{
		Sessions: t.Len(), Hits: uint64(c.lookups[Found].Value()), Empty: uint64(c.lookups[NoPoint].Value()), Misses: uint64(c.lookups[NotFound].Value()),
		CheckpointsSaved: c.saves[0].Load(), SaveFaults: c.saves[1].Load(), Lag: c.lag.Distribution(),
	}
	if l := c.loaded.Load(); l != nil {
		stats.Loaded, stats.LoadTime = l.rows, l.took
	}
	t.mu.Lock()
	stats.Dirty = len(t.dirty)
	t.mu.Unlock()
	return stats
}
