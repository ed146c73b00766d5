package server

import (
	"context"
	"sync/atomic"
	"time"
)

// admission lets a number of requests run at once and a number of others wait for a short time; the
// rest, and those who have waited in vain, are refused, so that a load that cannot be served costs
// next to nothing and does not slow those who are being served. It is safe for concurrent use.
type admission struct {
	running chan struct{}
	waiting chan struct{}
	wait    time.Duration
	refused atomic.Uint64 // for want of a place
}

func newAdmission(running, waiting int, wait time.Duration) *admission {
	return &admission{running: make(chan struct{}, running), waiting: make(chan struct{}, waiting), wait: wait}
}

// enter returns nil when the request may run; the caller must then call leave. Otherwise it returns
// problemBusy, or why the context ended.
func (a *admission) enter(ctx context.Context) error {
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
		return problemBusy
	}
	patience := time.NewTimer(a.wait)
	defer patience.Stop()
	select {
	case a.running <- struct{}{}:
		return nil
	case <-patience.C:
		a.refused.Add(1)
		return problemBusy
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tryEnter is enter for a request that goes on without a place when there is none at once.
func (a *admission) tryEnter() bool {
	select {
	case a.running <- struct{}{}:
		return true
	default:
		a.refused.Add(1)
		return false
	}
}

// leave lets the next request in.
func (a *admission) leave() { <-a.running }
