package apikey

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"lastseen/schema"
)

// recent remembers values by SHA-256 for a while, in a fixed number of slots: a value replaces
// whatever its slot held, so memory is bounded however many values come. Look-ups take no lock and
// do not allocate. It is safe for concurrent use.
type recent[V any] struct {
	slots []atomic.Pointer[remembered[V]]
}

type remembered[V any] struct {
	hash  schema.KeyHash
	until int64 // milliseconds, by the caller's clock
	value V
}

// newRecent makes room for a number of values, rounded up to a power of two.
func newRecent[V any](size int) recent[V] {
	return recent[V]{slots: make([]atomic.Pointer[remembered[V]], 1<<bits.Len(uint(max(size, 1)-1)))}
}

func (r *recent[V]) slot(hash *schema.KeyHash) *atomic.Pointer[remembered[V]] {
	return &r.slots[binary.LittleEndian.Uint64(hash[:])&uint64(len(r.slots)-1)]
}

// get returns the value remembered for a hash at a time (milliseconds).
func (r *recent[V]) get(hash *schema.KeyHash, now int64) (value V, found bool) {
	if item := r.slot(hash).Load(); item != nil && item.hash == *hash && now < item.until {
		return item.value, true
	}
	return value, false
}

// put remembers a value until a time (milliseconds).
func (r *recent[V]) put(hash schema.KeyHash, value V, until int64) {
	r.slot(&hash).Store(&remembered[V]{hash: hash, until: until, value: value})
}

// forget drops a hash.
func (r *recent[V]) forget(hash *schema.KeyHash) {
	slot := r.slot(hash)
	if item := slot.Load(); item != nil && item.hash == *hash {
		slot.CompareAndSwap(item, nil) // on failure another hash has taken the slot, or a racing put
	}
}
