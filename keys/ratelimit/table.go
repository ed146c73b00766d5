package ratelimit

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Table holds a Bucket for each of many, by a number that stands for them, such as a keyed hash of an
// address. Its memory is fixed: when it is full, the bucket that is nearest to being full itself makes
// room, with which as little as possible is forgotten. It takes no lock and does not allocate. It is
// safe for concurrent use.
type Table struct {
	rate Rate
	sets []set
}

// ways is how many buckets share a set. A set fills a cache line.
const ways = 4

type set [ways]struct {
	id     atomic.Uint64 // 0: unused
	bucket Bucket
}

// NewTable makes room for at least size buckets of a rate, of 16 bytes each. A rate that is no limit
// makes a Table that lets everything pass.
func NewTable(rate Rate, size int) *Table {
	t := &Table{rate: rate}
	if rate.Limits() {
		t.sets = make([]set, 1<<bits.Len(uint(max(size, 1)-1)/ways))
	}
	return t
}

// Rate returns the rate of the buckets.
func (t *Table) Rate() Rate { return t.rate }

// Take takes one of id's quota at a time and returns 0, or takes nothing and returns how long it will
// be until there is one.
func (t *Table) Take(id uint64, now time.Time) time.Duration {
	if len(t.sets) == 0 {
		return 0
	}
	return t.bucket(id).Take(t.rate, now)
}

// TakeMany is Take of n of id's quota, or of all of it where that is less.
func (t *Table) TakeMany(id uint64, now time.Time, n int) time.Duration {
	if len(t.sets) == 0 {
		return 0
	}
	return t.bucket(id).TakeMany(t.rate, now, n)
}

// TakeOf is TakeMany for an id that has a rate of its own, always the same one. The table must have been made with a rate
// that is a limit, whatever it is.
func (t *Table) TakeOf(rate Rate, id uint64, now time.Time, n int) time.Duration {
	return t.bucket(id).TakeMany(rate, now, n)
}

// Wait returns how long it is until there is one of id's quota, 0 when there is one now. It takes
// nothing and makes no room for id.
func (t *Table) Wait(id uint64, now time.Time) time.Duration {
	if len(t.sets) == 0 {
		return 0
	}
	s, id := t.set(id)
	for way := range s {
		if s[way].id.Load() == id {
			return s[way].bucket.Wait(t.rate, now)
		}
	}
	return 0
}

// set returns where id belongs, and id as it stands there.
func (t *Table) set(id uint64) (*set, uint64) {
	return &t.sets[id&uint64(len(t.sets)-1)], max(id, 1)
}

// bucket returns the bucket of id, that of somebody else if need be.
func (t *Table) bucket(id uint64) *Bucket {
	s, id := t.set(id)
	for {
		least := 0
		for way := range s {
			if s[way].id.Load() == id {
				return &s[way].bucket
			}
			if s[way].bucket.full.Load() < s[least].bucket.full.Load() {
				least = way
			}
		}
		victim := &s[least]
		before := victim.id.Load()
		if before == id {
			return &victim.bucket
		}
		// Two who make room for one id at the same time may get two buckets for it, of which the later
		// ones see the first: that forgives one event, which does no harm.
		if victim.id.CompareAndSwap(before, id) {
			victim.bucket.full.Store(0)
			return &victim.bucket
		}
	}
}
