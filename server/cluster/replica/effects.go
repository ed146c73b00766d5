package replica

import (
	"context"
	"sync"
	"time"
)

// carryOut does what a step of the core asks for. What takes long is done by a goroutine, whose result is an event.
func (n *Node) carryOut(ctx context.Context, e effect) {
	switch e := e.(type) {
	case send:
		n.options.Network.Send(e.to, encode(n.options.Network.Format(e.to), n.core.self, e.message))
	case look:
		n.call(ctx, func(ctx context.Context) event {
			seen, err := n.options.Register.Look(ctx)
			return looked{e.call, seen, err}
		})
	case swap:
		n.call(ctx, func(ctx context.Context) event {
			view, err := n.options.Register.Swap(ctx, e.old, e.next)
			return swapped{e.call, view, err}
		})
	case beatRegister:
		n.call(ctx, func(ctx context.Context) event {
			if err := n.options.Register.Beat(ctx, e.epoch); err != nil {
				n.log.Debug("the register's beat failed", "error", err)
			}
			return nil
		})
	case recoverState:
		n.recovery.begin(ctx, n, e)
	case endRecovery:
		n.recovery.end()
	case answer:
		n.proposals[e.id] <- e.err
		delete(n.proposals, e.id)
	case noted:
		n.note(e)
	}
}

// call calls the register, and brings its answer to the loop.
func (n *Node) call(ctx context.Context, do func(context.Context) event) {
	n.tasks.Go(func() {
		limited, cancel := context.WithTimeout(ctx, n.options.Timing.Register)
		defer cancel()
		if e := do(limited); e != nil {
			_ = n.submit(ctx, e) // it fails only when the node ends
		}
	})
}

// recovery is State.Recover under way.
type recovery struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// begin begins it, after an earlier one has ended.
func (r *recovery) begin(ctx context.Context, n *Node, e recoverState) {
	r.end()
	ctx, r.cancel = context.WithCancel(ctx)
	r.done.Go(func() {
		for ctx.Err() == nil {
			changes, err := n.options.State.Recover(ctx, e.term, e.whole)
			if err == nil {
				_ = n.submit(ctx, recovered{e.term, changes}) // it fails only when nobody waits for it any more
				return
			}
			if ctx.Err() != nil {
				return // it leads no more
			}
			n.log.Warn("the node leads but could not read the store yet; trying again", "term", e.term, "error", err)
			pause(ctx, n.options.Timing.Look)
		}
	})
}

// end cancels it and waits until it touches the state no more.
func (r *recovery) end() {
	if r.cancel != nil {
		r.cancel()
	}
	r.done.Wait()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
