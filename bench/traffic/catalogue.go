package traffic

import (
	"math"
	"slices"
	"sync/atomic"

	"lastseen/bench/dataset"
)

// IDDigits is the length of a session's id.
const IDDigits = 24

// Catalogue is what a load knows of the service that it asks: the sessions, who owns them, which keys
// may see them, and how new each one's answer must at least be. The ledger of newest timestamps may be
// used concurrently; the rest does not change while a load runs.
type Catalogue struct {
	// Orgs is each session's organisation, and Own each organisation's sessions.
	Orgs []int
	Own  [][]int
	// Keys are each organisation's API keys, and Writers its credential for ingest, empty where there is none.
	Keys    [][]string
	Writers []string
	// Etags are the entity tags that were last seen, by session, empty where none was asked for.
	Etags []string

	ids    []byte         // IDDigits a session
	newest []atomic.Int64 // Unix milliseconds
	loaded []int64        // the newest timestamp that no load wrote, by session
}

// EmptyCatalogue has room for so many sessions of so many organisations. Loads write none of their points.
func EmptyCatalogue(sessions, organisations int) *Catalogue {
	return &Catalogue{
		loaded: slices.Repeat([]int64{math.MaxInt64}, sessions),
		Orgs:   make([]int, 0, sessions), Own: make([][]int, organisations),
		Keys: make([][]string, organisations), Writers: make([]string, organisations), Etags: make([]string, sessions),
		ids: make([]byte, 0, sessions*IDDigits), newest: make([]atomic.Int64, sessions),
	}
}

// NewCatalogue lists the sessions of a data set; the keys are still to come.
func NewCatalogue(s dataset.Spec) *Catalogue {
	c := EmptyCatalogue(s.Sessions, s.Organisations)
	for i := range s.Sessions {
		c.Add(s.SessionID(i).AppendHex(nil), s.Organisation(i))
		c.newest[i].Store(s.NewestTimestamp(i))
		c.loaded[i] = s.NewestTimestamp(i)
	}
	return c
}

// Add appends a session with its id of IDDigits. At most as many may be added as EmptyCatalogue was told.
func (c *Catalogue) Add(id []byte, organisation int) {
	c.Own[organisation] = append(c.Own[organisation], len(c.Orgs))
	c.ids = append(c.ids, id...)
	c.Orgs = append(c.Orgs, organisation)
}

// Sessions is their number.
func (c *Catalogue) Sessions() int { return len(c.Orgs) }

// ID is a session's id, to be read only.
func (c *Catalogue) ID(session int) []byte { return c.ids[session*IDDigits : (session+1)*IDDigits] }

// Newest is the timestamp (Unix milliseconds) that an answer for a session must not be older than.
func (c *Catalogue) Newest(session int) int64 { return c.newest[session].Load() }

// Seen notes that a session's newest point is at least as new as a timestamp: it was acknowledged,
// or somebody was shown it. No later answer may be older.
func (c *Catalogue) Seen(session int, timestamp int64) {
	for {
		old := c.newest[session].Load()
		if timestamp <= old || c.newest[session].CompareAndSwap(old, timestamp) {
			return
		}
	}
}
