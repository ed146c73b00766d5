// Package keyedlock has locks by key: of those who ask for the same key one at a time goes on.
package keyedlock

import (
	"context"
	"hash/maphash"
)

// Locks is a fixed number of locks among which keys are spread, so that two keys may share one; nobody may hold two
// keys. It is safe for concurrent use.
type Locks struct {
	seed  maphash.Seed
	locks []chan struct{} // each holds an element while it is held
}

// New returns so many locks.
func New(number int) *Locks {
	l := &Locks{seed: maphash.MakeSeed(), locks: make([]chan struct{}, number)}
	for i := range l.locks {
		l.locks[i] = make(chan struct{}, 1)
	}
	return l
}

// Lock waits until it holds the key. It fails with the cause of the context's end, when that comes first; otherwise the
// caller calls unlock once.
func (l *Locks) Lock(ctx context.Context, key string) (unlock func(), err error) {
	lock := l.locks[maphash.String(l.seed, key)%uint64(len(l.locks))]
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
