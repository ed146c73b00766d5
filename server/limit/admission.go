package limit

import (
	"context"
	"sync/atomic"
	"time"
)

// Admission lets a number of requests run at once and a number of others wait for a short time; the
// rest, and those who have waited in vain, are refused, so that a load that cannot be served costs
// next to nothing and does not slow those who are being served. It is safe for concurrent use.
type Admission struct {
	running chan struct{}
	waiting chan struct{}
	wait    time.Duration
	refused atomic.Uint64 // for want of a place
}

// NewAdmission lets so many requests run and so many others wait, for a time.
func NewAdmission(running, waiting int, wait time.Duration) *Admission {
	return &Admission{running: make(chan struct{}, running), waiting: make(chan struct{}, waiting), wait: wait}
}

// Enter returns nil when the request may run; the caller must then call Leave. Otherwise it returns
// ErrBusy, or why the context ended.
func (a *Admission) Enter(ctx context.Context) error {
	select {
	case a.running <- struct{}{}:
		return nil
	default:
	}
	select {
	case a.waiting <- struct{}{}:
		defer func() { <-a.waiting }()
	default:
		a.refused.Add(1)
		return ErrBusy
	}
	patience := time.NewTimer(a.wait)
	defer patience.Stop()
	select {
	case a.running <- struct{}{}:
		return nil
	case <-patience.C:
		a.refused.Add(1)
		return ErrBusy
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// TryEnter is Enter for a request that goes on without a place when there is none at once.
func (a *Admission) TryEnter() bool {
	select {
	case a.running <- struct{}{}:
		return true
	default:
		a.refused.Add(1)
		return false
	}
}

// Leave lets the next request in.
func (a *Admission) Leave() { <-a.running }

// Stats returns the counts under a name.
func (a *Admission) Stats(name string) Stats {
	return Stats{Name: name, Capacity: cap(a.running), InUse: len(a.running), Waiting: len(a.waiting), Refused: a.refused.Load()}
}
