package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"sync/atomic"

	"lastseen/bench/dataset"
)

const idDigits = 24

// catalogue is what a load knows of the service that it asks: the sessions, who owns them, which
// keys may see them, and how new each one's answer must at least be. The ledger of newest
// timestamps may be used concurrently; the rest does not change while a load runs.
type catalogue struct {
	ids  []byte     // 24 digits a session
	orgs []int      // a session's organisation
	own  [][]int    // an organisation's sessions
	keys [][]string // an organisation's API keys
	// writers are an organisation's credential for ingest, empty where there is none.
	writers []string
	newest  []atomic.Int64 // Unix milliseconds
	etags   []string       // the entity tag last seen, empty where none was asked for
}

func newCatalogue(sessions, organisations int) *catalogue {
	return &catalogue{
		ids: make([]byte, 0, sessions*idDigits), orgs: make([]int, 0, sessions), own: make([][]int, organisations),
		keys: make([][]string, organisations), writers: make([]string, organisations),
		newest: make([]atomic.Int64, sessions), etags: make([]string, sessions),
	}
}

// catalogueOf lists the sessions of a data set; the keys are still to come.
func catalogueOf(s dataset.Spec) *catalogue {
	c := newCatalogue(s.Sessions, s.Organisations)
	for i := range s.Sessions {
		c.add(s.SessionID(i).AppendHex(nil), s.Organisation(i))
		c.newest[i].Store(s.NewestTimestamp(i))
	}
	return c
}

// add appends a session. At most as many may be added as newCatalogue was told.
func (c *catalogue) add(id []byte, organisation int) {
	c.own[organisation] = append(c.own[organisation], len(c.orgs))
	c.ids = append(c.ids, id...)
	c.orgs = append(c.orgs, organisation)
}

func (c *catalogue) sessions() int { return len(c.orgs) }

func (c *catalogue) id(session int) []byte { return c.ids[session*idDigits : (session+1)*idDigits] }

// seen notes that a session's newest point is at least as new as a timestamp: it was acknowledged,
// or somebody was shown it. No later answer may be older.
func (c *catalogue) seen(session int, timestamp int64) {
	for {
		old := c.newest[session].Load()
		if timestamp <= old || c.newest[session].CompareAndSwap(old, timestamp) {
			return
		}
	}
}

// draws is a fixed sequence of sessions by popularity, drawn beforehand because drawing takes as
// long as sending.
type draws []uint32

// drawCount is the length of the sequence, after which it begins again.
const drawCount = 1 << 20

// zipf draws sessions so that the k-th most popular one is asked for in proportion to 1/k^exponent.
// An exponent of 0 asks for all alike. Which sessions are popular is up to the seed.
func zipf(sessions int, exponent float64, seed uint64) (draws, error) {
	if sessions < 1 || exponent < 0 {
		return nil, fmt.Errorf("cannot draw from %d sessions with the exponent %v", sessions, exponent)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	below := make([]float64, sessions) // the weight of the sessions up to and with this one
	sum := 0.0
	for k := range below {
		sum += math.Pow(float64(k+1), -exponent)
		below[k] = sum
	}
	who := random.Perm(sessions)
	d := make(draws, drawCount)
	for i := range d {
		k := sort.SearchFloat64s(below, random.Float64()*sum)
		d[i] = uint32(who[min(k, sessions-1)])
	}
	return d, nil
}

// distinct returns the sessions that occur in the sequence, each once.
func (d draws) distinct() []int {
	seen := make(map[uint32]bool)
	var all []int
	for _, session := range d {
		if !seen[session] {
			seen[session] = true
			all = append(all, int(session))
		}
	}
	return all
}
