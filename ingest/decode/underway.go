package decode

import "sync/atomic"

// Underway counts bodies that are being read and whose points have not been submitted yet. It is safe for concurrent use.
type Underway struct{ bodies atomic.Int64 }

// Bodies returns how many there are.
func (u *Underway) Bodies() int { return int(u.bodies.Load()) }

// countIn counts the Batch until it has arrived or is released.
func (b *Batch) countIn(u *Underway) {
	if u != nil {
		u.bodies.Add(1)
		b.underway = u
	}
}

// Arrived ends that the Batch is counted as being read.
func (b *Batch) Arrived() {
	if b.underway != nil {
		b.underway.bodies.Add(-1)
		b.underway = nil
	}
}
