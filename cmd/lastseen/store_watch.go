package main

import (
	"context"
	"sync/atomic"
	"time"

	"lastseen/schema"
	"lastseen/server/metrics"
)

const (
	// storeInterval is the time between two looks at how the store is.
	storeInterval = time.Minute
	// storeTimeout bounds one look.
	storeTimeout = 30 * time.Second
)

// storeWatch looks at how the store is, for the metrics.
type storeWatch struct {
	app  *App
	last atomic.Pointer[schema.Condition] // nil until there was a look
}

// watchStore looks soon, and then now and then.
func watchStore(a *App) *storeWatch {
	w := &storeWatch{app: a}
	after(a, 0, storeInterval, "look how the store is", w.look)
	return w
}

func (w *storeWatch) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	condition, err := w.app.db.Examine(ctx)
	if err != nil {
		return err
	}
	before := w.last.Swap(&condition)
	for _, gap := range condition.Gaps {
		if before == nil || before.Knows(gap.What) { // said once, not every minute
			w.app.config.log.Warn("it could not be found out how the store is", "what", gap.What, "error", gap.Err)
		}
	}
	return nil
}

// Stats implements metrics.Store.
func (w *storeWatch) Stats() metrics.StoreStats {
	return metrics.StoreStats{
		Up: w.app.db.Trouble() == nil, Writes: mayWrite(w.app), SetBack: wasSetBack(w.app), Condition: w.last.Load(),
	}
}

// mayWrite says whether this process may write: the embedded engine is its own, a server's lease it must hold, and of several nodes
// the leader may.
func mayWrite(a *App) bool {
	switch {
	case a.nodes != nil:
		return a.nodes.Leads()
	case a.lease != nil:
		return a.lease.Held() == nil
	}
	return true
}
