package witness

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"lastseen/schema"
)

const (
	// kept is how many witnesses of a kind are kept from one look to the next, fresh how many come to them in between.
	kept, fresh = 16, 32
	// expiring is how long before retention takes a point it is no witness any more: clocks differ, and merges come when they come.
	expiring = 12 * time.Hour
)

// collection is what was told to be stored since the last look, and what was there then. The zero value is empty. It is safe for concurrent use.
type collection struct {
	mu    sync.Mutex
	told  [kinds]int // since the last look, also those that were left out
	fresh [kinds][]schema.Witness
	kept  [kinds][]schema.Witness // the newest last
}

// kinds is how many kinds of witnesses there are.
const kinds = int(schema.KeyCountWitness) + 1

// add takes a witness up. Of many that come between two looks those that stay are any, and the newest.
func (c *collection) add(w schema.Witness) {
	c.mu.Lock()
	defer c.mu.Unlock()
	some := c.fresh[w.Kind]
	c.told[w.Kind]++
	if len(some) == fresh {
		at := rand.IntN(c.told[w.Kind])
		if at < fresh-1 {
			some = slices.Delete(some, at, at+1)
		} else {
			some = some[:fresh-1]
		}
	}
	c.fresh[w.Kind] = append(some, w)
}

// all returns all of them.
func (c *collection) all() (witnesses []schema.Witness) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for kind := range kinds {
		witnesses = append(append(witnesses, c.kept[kind]...), c.fresh[kind]...)
	}
	return witnesses
}

// settle keeps of those that were looked for the newest that were found, one of each session or key, so that a cluster's shards all have some.
func (c *collection) settle(looked, lacking, counts []schema.Witness) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for kind := range kinds {
		if schema.WitnessKind(kind) == schema.KeyCountWitness {
			c.kept[kind] = counts
			continue
		}
		var found []schema.Witness // the newest first
		for _, w := range slices.Backward(looked) {
			same := func(other schema.Witness) bool { return other.ID == w.ID }
			if int(w.Kind) == kind && len(found) < kept && !slices.Contains(lacking, w) && !slices.ContainsFunc(found, same) {
				found = append(found, w)
			}
		}
		slices.Reverse(found)
		c.kept[kind] = found
		c.fresh[kind] = slices.DeleteFunc(c.fresh[kind], func(w schema.Witness) bool { return slices.Contains(looked, w) })
		c.told[kind] = len(c.fresh[kind])
	}
}

// expire drops the points that a retention may take, which is 0 for none.
func (c *collection) expire(retention time.Duration, now time.Time) {
	if retention == 0 {
		return
	}
	oldest := now.Add(-retention + min(expiring, retention/2)).UnixMilli()
	gone := func(w schema.Witness) bool { return w.Timestamp < oldest }
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[schema.PointWitness] = slices.DeleteFunc(c.kept[schema.PointWitness], gone)
	c.fresh[schema.PointWitness] = slices.DeleteFunc(c.fresh[schema.PointWitness], gone)
}
