package ingest

import (
	"slices"
	"time"
)

const (
	// fewOrganisations is up to how many organisations each is asked whether it writes alone: more of them would
	// make an insert each.
	fewOrganisations = 4
	// fewTime is for how long an organisation counts among them after it wrote.
	fewTime = time.Second
	// quietTime is for how long others must not have written for an organisation to be the only one.
	quietTime = 10 * time.Second
)

// company is the organisations that wrote last, the last one first.
type company [fewOrganisations + 1]writer

// writer is one of them.
type writer struct {
	orgID   string
	at      time.Time
	several bool // requests of it were written or waited at the same time when it was last written
}

// see notes that an organisation writes.
func (c *company) see(orgID string, now time.Time) {
	w := writer{orgID: orgID}
	i := slices.IndexFunc(c[:], func(w writer) bool { return w.orgID == orgID && !w.at.IsZero() })
	if i < 0 {
		i = len(c) - 1
	} else {
		w = c[i]
	}
	w.at = now
	copy(c[1:i+1], c[:i])
	c[0] = w
}

// wrote notes what was written and what waited at its end.
func (c *company) wrote(written, waiting []*request) {
	for i := range c {
		n := 0
		for _, requests := range [][]*request{written, waiting} {
			for _, r := range requests {
				if r.orgID == c[i].orgID {
					n++
				}
			}
		}
		if n > 0 {
			c[i].several = n > 1
		}
	}
}

// isOnly reports whether no other organisation has written lately.
func (c *company) isOnly(orgID string, now time.Time) bool {
	return !slices.ContainsFunc(c[:], func(w writer) bool {
		return w.orgID != orgID && !w.at.IsZero() && now.Sub(w.at) < quietTime
	})
}

// isAlone reports whether an organisation's request should not be made to wait for company: it has sent no other
// meanwhile, and few organisations write at all.
func (c *company) isAlone(orgID string, now time.Time) bool {
	if last := &c[len(c)-1]; !last.at.IsZero() && now.Sub(last.at) < fewTime {
		return false
	}
	return !slices.ContainsFunc(c[:], func(w writer) bool { return w.orgID == orgID && w.several })
}
