package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/keys/ratelimit"
)

// loadAdmission lets a bounded number of look-ups run, a bounded number wait for their turn, and
// refuses the rest. It is safe for concurrent use.
type loadAdmission struct {
	slots chan struct{} // one element for each that runs
	queue chan struct{} // one for each that runs or waits

	rate   ratelimit.Rate
	bucket ratelimit.Bucket
	now    func() time.Time

	begun, failed, refused, late atomic.Uint64

	mu      sync.Mutex // orders the last enter before close
	closed  bool
	entered sync.WaitGroup
}

var (
	errClosed  = errors.New("the authenticator is closed")
	errTooMany = errors.New("too many look-ups of keys are waiting")
	errTooFast = errors.New("keys are looked up as often as is allowed")
)

// init makes room for a number of look-ups that run and a number that wait, and limits how often one
// begins.
func (l *loadAdmission) init(slots, waiting int, rate ratelimit.Rate, now func() time.Time) {
	l.rate, l.now = rate, now
	l.slots, l.queue = make(chan struct{}, slots), make(chan struct{}, slots+waiting)
}

// acquire waits for a turn, for at most a time. It returns a function that gives the turn back, or
// ErrUnavailable.
func (l *loadAdmission) acquire(ctx context.Context, wait time.Duration) (release func(), err error) {
	if !l.enter() {
		return nil, fmt.Errorf("%w (%w)", ErrUnavailable, errClosed)
	}
	select {
	case l.queue <- struct{}{}:
	default:
		l.entered.Done()
		l.refused.Add(1)
		return nil, fmt.Errorf("%w (%w)", ErrUnavailable, errTooMany)
	}
	if err := l.takeTurn(ctx, wait); err != nil {
		<-l.queue
		l.entered.Done()
		l.refused.Add(1)
		return nil, fmt.Errorf("%w (wait for a turn to look up a key: %w)", ErrUnavailable, err)
	}
	l.begun.Add(1)
	return func() {
		<-l.slots
		<-l.queue
		l.entered.Done()
	}, nil
}

// takeTurn waits until a look-up may begin by the rate and there is a slot for it.
func (l *loadAdmission) takeTurn(ctx context.Context, wait time.Duration) error {
	if l.rate.Limits() {
		delay := l.bucket.Reserve(l.rate, l.now(), wait)
		if delay > wait {
			l.late.Add(1)
			return errTooFast
		}
		if delay > 0 {
			turn := time.NewTimer(delay)
			defer turn.Stop()
			select {
			case <-turn.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return l.takeSlot(ctx, wait)
}

// takeSlot takes a free slot, or waits for one.
func (l *loadAdmission) takeSlot(ctx context.Context, wait time.Duration) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *loadAdmission) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.entered.Add(1)
	return true
}

// close refuses look-ups from now on and waits for those that run.
func (l *loadAdmission) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.entered.Wait()
}
