package decode

import (
	"sync"
	"sync/atomic"
)

// Budget bounds the bytes that requests hold at one time: bodies that are being read, points that
// are being decoded, and points that wait to be written. It never blocks: who cannot have what it
// asks for turns its request away. A Budget is safe for concurrent use.
type Budget struct {
	capacity int64
	whole    *Budget // of which this is one owner's share; nil for the whole
	used     atomic.Int64
	refused  atomic.Uint64 // counted by the whole

	mu     sync.Mutex
	shares map[string]*Budget // by owner
}

const (
	// DefaultBudget is the size of a Writer's budget in bytes unless its options say otherwise.
	DefaultBudget = 256 << 20
	// leastShare is what an owner may have in any case, in bytes: more than the largest body takes.
	leastShare = 32 << 20
	// idleShares is how many shares without anything taken are kept.
	idleShares = 1024
)

// NewBudget returns a budget of so many bytes.
func NewBudget(capacity int64) *Budget {
	return &Budget{capacity: capacity}
}

// Of returns an owner's share of the budget: half of it, or leastShare where that is more, so that bodies that
// one organisation never finishes leave the others theirs. What is taken from the share is taken from the
// whole.
func (b *Budget) Of(owner string) *Budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	share := b.shares[owner]
	if share == nil {
		b.forgetIdle()
		share = &Budget{capacity: min(b.capacity, max(b.capacity/2, leastShare)), whole: b}
		b.shares[owner] = share
	}
	return share
}

// forgetIdle drops the shares of which nothing is taken, when there are many. Who got one and has yet to take
// from it is then counted apart once.
func (b *Budget) forgetIdle() {
	if b.shares == nil {
		b.shares = make(map[string]*Budget)
	}
	if len(b.shares) < idleShares {
		return
	}
	for owner, share := range b.shares {
		if share.used.Load() == 0 {
			delete(b.shares, owner)
		}
	}
}

// TryAcquire takes n bytes and reports true, or takes nothing and reports false when fewer are
// left. n must not be negative.
func (b *Budget) TryAcquire(n int64) bool {
	if b.used.Add(n) > b.capacity {
		b.used.Add(-n)
		b.refuse()
		return false
	}
	if b.whole != nil && !b.whole.TryAcquire(n) {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *Budget) refuse() {
	if b.whole != nil {
		b = b.whole
	}
	b.refused.Add(1)
}

// Release gives back n bytes that TryAcquire took.
func (b *Budget) Release(n int64) {
	b.used.Add(-n)
	if b.whole != nil {
		b.whole.Release(n)
	}
}

// InUse returns the bytes that are taken.
func (b *Budget) InUse() int64 {
	return b.used.Load()
}

// Capacity returns the size of the budget in bytes.
func (b *Budget) Capacity() int64 {
	return b.capacity
}

// Refused returns how often TryAcquire has reported false, of a share too.
func (b *Budget) Refused() uint64 {
	return b.refused.Load()
}
