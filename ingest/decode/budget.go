package decode

import "sync/atomic"

// Budget bounds the bytes that requests hold at one time: bodies that are being read, points that
// are being decoded, and points that wait to be written. It never blocks: who cannot have what it
// asks for turns its request away. A Budget is safe for concurrent use.
type Budget struct {
	capacity int64
	used     atomic.Int64
	refused  atomic.Uint64
}

// DefaultBudget is the size of a Writer's budget in bytes unless its options say otherwise.
const DefaultBudget = 256 << 20

// NewBudget returns a budget of so many bytes.
func NewBudget(capacity int64) *Budget {
	return &Budget{capacity: capacity}
}

// TryAcquire takes n bytes and reports true, or takes nothing and reports false when fewer are
// left. n must not be negative.
func (b *Budget) TryAcquire(n int64) bool {
	if b.used.Add(n) > b.capacity {
		b.used.Add(-n)
		b.refused.Add(1)
		return false
	}
	return true
}

// Release gives back n bytes that TryAcquire took.
func (b *Budget) Release(n int64) {
	b.used.Add(-n)
}

// InUse returns the bytes that are taken.
func (b *Budget) InUse() int64 {
	return b.used.Load()
}

// Capacity returns the size of the budget in bytes.
func (b *Budget) Capacity() int64 {
	return b.capacity
}

// Refused returns how often TryAcquire has reported false.
func (b *Budget) Refused() uint64 {
	return b.refused.Load()
}
