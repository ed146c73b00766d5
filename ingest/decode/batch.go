package decode

import (
	"slices"
	"sync"
	"unsafe"

	"lastseen/ingest/registry"
	"lastseen/schema"
)

// Batch is the points of one body, and belongs to one goroutine. Its memory is reused once it is
// released or given to Writer.Ingest: it must not be touched after either.
type Batch struct {
	Points  []Point
	Targets []registry.Target // what the points name, each once

	// Of an app's message: optional values that were out of their ranges, times whose count of weeks had
	// begun again, and messages that only the app's friends can read.
	Dropped, Rolled, Unreadable int
	// Names are what an app calls its devices, by the address's identity.
	Names map[string]string

	index    map[string]uint32 // from a target's key to its place in Targets; empty with fewer than two
	key      []byte            // scratch
	rejected []Rejection

	budget   *Budget // may be nil
	reserved int64   // bytes taken from it

	underway *Underway // that counts it; nil for none
}

// Point is a point whose session is yet to be looked up.
type Point struct {
	schema.DataPoint
	index  int32  // in the body
	Target uint32 // its place in Batch.Targets
}

// Rejection says which point of a body was not taken, and why.
type Rejection struct {
	Index  int    `json:"index"`  // the point's place in the body, from 0; blank lines do not count
	Detail string `json:"detail"` // one sentence for the caller
}

const (
	batchPointSize = int64(unsafe.Sizeof(Point{}))
	rejectionSize  = int64(unsafe.Sizeof(Rejection{}))
	// targetSize includes the target's part of the index.
	targetSize = int64(unsafe.Sizeof(registry.Target{})) + 128
	// pooledPoints is how many points a Batch may have room for and still be kept for reuse: each
	// user of it reserves all that room.
	pooledPoints = 1024
)

var batches = sync.Pool{New: func() any { return new(Batch) }}

// newBatch returns an empty Batch whose memory comes from a budget, which may be nil.
func newBatch(budget *Budget) *Batch {
	b := batches.Get().(*Batch)
	b.budget = budget
	if b.reserve(int64(cap(b.Points))*batchPointSize) != nil {
		b.Points = nil // room that an earlier request left is no reason to refuse a small one
	}
	return b
}

// Len returns the number of points that have not been rejected.
func (b *Batch) Len() int {
	return len(b.Points)
}

// Release gives the memory of a Batch that is not going to be written back.
func (b *Batch) Release() {
	if b.budget != nil {
		b.budget.Release(b.reserved)
	}
	b.budget, b.reserved = nil, 0
	b.Arrived()
	if cap(b.Points) > pooledPoints {
		return
	}
	b.reset()
	batches.Put(b)
}

// reset drops the points, and everything that refers to the caller's data.
func (b *Batch) reset() {
	b.Points = b.Points[:0]
	clear(b.Targets)
	b.Targets = b.Targets[:0]
	clear(b.index)
	b.rejected = nil // the Result keeps it
	b.Dropped, b.Rolled, b.Unreadable, b.Names = 0, 0, 0, nil
}

// reserve takes bytes from the budget that Release gives back.
func (b *Batch) reserve(n int64) error {
	if b.budget == nil {
		return nil
	}
	if !b.budget.TryAcquire(n) {
		return schema.Busy
	}
	b.reserved += n
	return nil
}

// ReserveFrom makes sure that the Batch's memory is taken from a budget.
func (b *Batch) ReserveFrom(budget *Budget) error {
	if b.budget != nil {
		return nil
	}
	b.budget = budget
	return b.reserve(int64(cap(b.Points))*batchPointSize + int64(len(b.Targets))*targetSize + int64(cap(b.rejected))*rejectionSize)
}

// add appends a point that names ref.
func (b *Batch) add(index int, p *schema.DataPoint, ref *registry.Reference) error {
	if len(b.Points) == cap(b.Points) {
		grow := max(256, cap(b.Points))
		if err := b.reserve(int64(grow) * batchPointSize); err != nil {
			return err
		}
		grown := make([]Point, len(b.Points), cap(b.Points)+grow)
		copy(grown, b.Points)
		b.Points = grown
	}
	place, err := b.intern(ref)
	if err != nil {
		return err
	}
	b.Points = append(b.Points, Point{DataPoint: *p, index: int32(index), Target: place})
	return nil
}

// reject notes that a point is bad.
func (b *Batch) reject(index int, detail string) error {
	if len(b.rejected) == cap(b.rejected) {
		grow := max(16, cap(b.rejected))
		if err := b.reserve(int64(grow) * rejectionSize); err != nil {
			return err
		}
		b.rejected = slices.Grow(b.rejected, grow)
	}
	b.rejected = append(b.rejected, Rejection{Index: index, Detail: detail})
	return nil
}

// intern returns the place of ref among the targets. Neighbours in a body mostly name the same.
func (b *Batch) intern(ref *registry.Reference) (uint32, error) {
	if n := len(b.Targets); n > 0 && b.Targets[n-1].Is(ref) {
		return uint32(n - 1), nil
	}
	b.key = ref.AppendKey(b.key[:0])
	if place, ok := b.index[string(b.key)]; ok {
		return place, nil
	}
	if err := b.reserve(targetSize + int64(len(ref.MAC))); err != nil {
		return 0, err
	}
	if b.index == nil {
		b.index = make(map[string]uint32)
	}
	place := uint32(len(b.Targets))
	b.index[string(b.key)] = place
	b.Targets = append(b.Targets, ref.Target())
	return place, nil
}

// Keep filters the points in place: those for which judge returns a sentence become rejections,
// which take a third of a point's memory.
func (b *Batch) Keep(judge func(*Point) string) {
	kept := b.Points[:0]
	for i := range b.Points {
		p := &b.Points[i]
		if detail := judge(p); detail != "" {
			b.rejected = append(b.rejected, Rejection{Index: int(p.index), Detail: detail})
			continue
		}
		kept = append(kept, *p)
	}
	b.Points = kept
}

// TakeRejected returns the rejections by ascending index. The caller owns them.
func (b *Batch) TakeRejected() []Rejection {
	rejected := b.rejected
	b.rejected = nil
	if rejected == nil {
		rejected = []Rejection{}
	}
	slices.SortFunc(rejected, func(x, y Rejection) int { return x.Index - y.Index })
	return rejected
}
