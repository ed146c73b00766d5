package embedded

import (
	"context"
	"sync"
	"time"
)

// lease is the use of one connection for one statement.
type lease struct {
	*conn
	engine *Engine
	ctx    context.Context // ends with the request's context or with the engine
	cancel context.CancelCauseFunc
	detach func() bool
}

// lease waits for an idle connection until ctx ends or the engine is closed.
// The caller must release it.
func (e *Engine) lease(ctx context.Context) (*lease, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	l := &lease{engine: e, ctx: ctx, cancel: cancel}
	l.detach = context.AfterFunc(e.stop, func() { cancel(ErrClosed) })
	err := context.Cause(e.stop)
	if err == nil {
		select {
		case l.conn = <-e.idle:
			return l, nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	l.detach()
	cancel(nil)
	return nil, err
}

// releaseFailed gives the connection back after a statement that failed or was
// given up. Closing its session waits for what the engine may still be doing
// for it: an insert that failed can go on to write a block after the error.
func (l *lease) releaseFailed() {
	l.dirty = true
	l.release()
}

// release gives the connection back. Nothing may run on it any more.
func (l *lease) release() {
	l.detach()
	l.cancel(nil)
	if l.dirty {
		// A failure leaves it dirty, and whoever leases it next tries again.
		l.giveUp(func() { _ = l.renew() })
	}
	l.engine.idle <- l.conn
}

// guard calls f, which blocks in the engine, and makes the engine give up the
// statement if the lease's context ends meanwhile. Then guard returns why the
// context ended, also if f has come to a good end at the last moment: nobody
// waits for it any more.
func (l *lease) guard(f func() error) error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	returned, done := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(l.ctx, func() {
		defer close(done)
		l.engine.control.interrupt(l.tag, returned)
	})
	err := f()
	close(returned)
	if stop() {
		return err
	}
	// The connection must not run another statement before this is over, or
	// that one would be given up.
	<-done
	return context.Cause(l.ctx)
}

// patience is how long giving up a statement may take before the engine is
// told a second time.
const patience = 10 * time.Millisecond

// giveUp calls f, with which the engine is to give up the statement. By itself
// it may wait until the statement has an intermediate result, which can be
// never.
func (l *lease) giveUp(f func()) {
	returned, done := make(chan struct{}), make(chan struct{})
	timer := time.AfterFunc(patience, func() {
		defer close(done)
		l.engine.control.interrupt(l.tag, returned)
	})
	f()
	close(returned)
	if !timer.Stop() {
		<-done
	}
}

// control is the connection that interrupts the statements of the others, and
// whose closing stops the engine. It is safe for concurrent use.
type control struct {
	mu   sync.Mutex
	conn *conn
}

// interrupt has the engine give up the statement of the connection with this
// tag until returned is closed: the statement may not have begun yet, and the
// engine looks only now and then whether it is to stop.
func (k *control) interrupt(tag string, returned <-chan struct{}) {
	// Quoted, and not bound, because it is a constant of this package's.
	// A backup or restore that was begun with ASYNC goes on beside the connection, whose next statement must not take it along.
	sql := "KILL QUERY WHERE endsWith(Settings['log_comment'], " + quoteString(tag) + ") AND query_kind NOT IN ('Backup', 'Restore') ASYNC"
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		k.mu.Lock()
		// It fails for want of memory at most, and is tried again.
		_, _ = k.conn.queryString(sql)
		k.mu.Unlock()
		select {
		case <-returned:
			return
		case <-time.After(wait):
		}
	}
}

func (k *control) close() { k.conn.close() }
