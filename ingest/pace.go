package ingest

import (
	"slices"
	"time"
)

const (
	// DefaultInterval is the time between the starts of two small inserts unless a Writer's options say
	// otherwise. Each insert costs ClickHouse several milliseconds, and the merges that follow it more,
	// whatever its size (docs/benchmarks.md, ingest).
	DefaultInterval = 100 * time.Millisecond
	// smallGroup is how many points make an insert worth its fixed costs.
	smallGroup = 2_000
	// fewOrganisations is up to how many organisations each is asked whether it writes alone: more of them
	// would make an insert each.
	fewOrganisations = 4
)

// pace decides when the next insert begins, which is a trade of the time to an acknowledgement for the
// number of inserts. It belongs to the Writer's goroutine.
type pace struct {
	interval time.Duration
	began    time.Time // of the last insert
	ended    time.Time // of the last insert
	alone    []string  // organisations of which there was one request only, in the last insert or waiting after it
	expected int       // points that wait when all who were answered come again
}

// inserted notes that an insert is over, and what waits by now.
func (p *pace) inserted(began, ended time.Time, written, waiting []*request) {
	p.began, p.ended = began, ended
	p.expected = weightOf(written) + weightOf(waiting)
	p.alone = p.alone[:0]
	var organisations, several []string
	for _, requests := range [][]*request{written, waiting} {
		for _, r := range requests {
			switch {
			case !slices.Contains(organisations, r.orgID):
				if organisations = append(organisations, r.orgID); len(organisations) > fewOrganisations {
					return
				}
			case !slices.Contains(several, r.orgID):
				several = append(several, r.orgID)
			}
		}
	}
	for _, organisation := range organisations {
		if !slices.Contains(several, organisation) {
			p.alone = append(p.alone, organisation)
		}
	}
}

// isAlone reports whether an organisation's request should not be made to wait for company.
func (p *pace) isAlone(organisation string) bool { return slices.Contains(p.alone, organisation) }

// due returns how long the next insert should still wait for company, given the points that wait and whether
// a request of somebody who isAlone is among them.
//
// Who is the only one to write of an organisation never waits, whatever the others do, nor who comes after a
// pause. A small group waits for the interval. A larger one waits for those who were just answered, who mostly
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
