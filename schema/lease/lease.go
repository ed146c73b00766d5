package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of Held.
var (
	// ErrLapsed says that the lease could not be renewed in time. It may be again.
	ErrLapsed = errors.New("the lease of the database could not be renewed in time")
	// ErrLost says that another process has the lease. What this one knows of the store is out of date for good.
	ErrLost = errors.New("another lastseen has taken over the database")
)

const (
	// renewals are how many there are in the length of a lease, retries how many once one has failed.
	renewals = 5
	retries  = 60
)

// Lease is one that this process has taken. It is safe for concurrent use.
type Lease struct {
	register Register
	epoch    uint64
	length   time.Duration
	log      *slog.Logger
	born     time.Time
	until    atomic.Int64 // how long after born one may write; nanoseconds

	self   Holder // the goroutine's of run, and Close's after it
	lapsed bool   // the log says so; likewise

	lost    chan struct{} // closed when the lease is lost
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Held returns nil while this process may write, and otherwise ErrLapsed or ErrLost. It costs some nanoseconds.
func (l *Lease) Held() error {
	if int64(time.Since(l.born)) < l.until.Load() {
		return nil
	}
	select {
	case <-l.lost:
		return ErrLost
	default:
		return ErrLapsed
	}
}

// Lost is closed when another process has the lease.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// start renews the lease until Close.
func (l *Lease) start() {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.running.Go(func() { l.run(ctx) })
}

func (l *Lease) run(ctx context.Context) {
	next := l.length / renewals
	for pause(ctx, next) == nil {
		err := l.renew(ctx)
		if errors.Is(err, ErrMoved) {
			l.until.Store(0)
			close(l.lost)
			l.log.Error("another lastseen has taken over the database, and this one writes no more", "error", l.successor(ctx))
			return
		}
		next = l.length / renewals
		if err != nil {
			next = l.length / retries
		}
		l.note(err)
	}
}

// successor says who has the lease.
func (l *Lease) successor(ctx context.Context) error {
	now, err := l.register.Look(ctx)
	if err != nil {
		return err
	}
	return held(now, l.length)
}

// renew says that the lease is held still, which counts from now on.
func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.length/3)
	defer cancel()
	began := time.Since(l.born)
	l.self.Beat++
	if err := l.register.Beat(ctx, l.epoch, l.self); err != nil {
		return err
	}
	l.until.Store(int64(began + l.length))
	return nil
}

// note says in the log that the lease has ended because it could not be renewed, and that it is held again.
func (l *Lease) note(err error) {
	lapsed := l.Held() != nil
	if lapsed == l.lapsed {
		return
	}
	l.lapsed = lapsed
	if lapsed {
		l.log.Error("the lease of the database could not be renewed in time, so nothing is written until it can be", "error", err)
	} else {
		l.log.Info("the lease of the database is held again")
	}
}

// Close gives the lease up, so that who comes next need not wait. Nothing may be written after it begins.
func (l *Lease) Close(ctx context.Context) error {
	l.stop()
	l.running.Wait()
	l.until.Store(0)
	select {
	case <-l.lost:
		return nil
	default:
	}
	l.self.Beat++
	l.self.Left = true
	ctx, cancel := context.WithTimeout(ctx, l.length/3)
	defer cancel()
	if err := l.register.Beat(ctx, l.epoch, l.self); err != nil && !errors.Is(err, ErrMoved) {
		return fmt.Errorf("give the lease of the database up: %w", err)
	}
	return nil
}
