package register

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	// unanswered is for how long no call of a register must have been answered until that is said.
	unanswered = 3 * time.Second
	// lookInterval is how often Watched looks by itself, and lookTimeout bounds such a look.
	lookInterval, lookTimeout = time.Second, time.Second
)

// Watched is a Register that knows since when it is not answered, and says so in the log, once, and once when it is answered again.
// It looks by itself too, since a node that follows another one calls its register only when that one has failed. It is safe for
// concurrent use.
type Watched struct {
	register Register
	name     string
	log      *slog.Logger
	stop     context.CancelFunc
	looking  sync.WaitGroup

	mu       sync.Mutex
	answered time.Time // when a call was answered last
	failing  time.Time // when the first call after that began that was not; zero for none
	said     bool      // that it is not answered
}

// Watch watches a register, of a name that operators know it by, until Close, which does not close the register.
func Watch(register Register, name string, log *slog.Logger) *Watched {
	ctx, stop := context.WithCancel(context.Background())
	w := &Watched{register: register, name: name, log: log, stop: stop, answered: time.Now()}
	w.looking.Go(func() { w.run(ctx) })
	return w
}

// Name is what operators know the register by.
func (w *Watched) Name() string { return w.name }

// Silent is for how long the register has not answered; 0 while it does, or has not for less than 3 seconds.
func (w *Watched) Silent() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing.IsZero() || time.Since(w.failing) < unanswered {
		return 0
	}
	return time.Since(w.failing)
}

// Close ends the looks.
func (w *Watched) Close() {
	w.stop()
	w.looking.Wait()
}

// Look implements Register.
func (w *Watched) Look(ctx context.Context) (State, error) {
	began := time.Now()
	state, err := w.register.Look(ctx)
	w.note(began, err)
	return state, err
}

// Swap implements Register.
func (w *Watched) Swap(ctx context.Context, epoch uint64, view []byte) error {
	began := time.Now()
	err := w.register.Swap(ctx, epoch, view)
	w.note(began, err)
	return err
}

// Beat implements Register.
func (w *Watched) Beat(ctx context.Context, epoch uint64) error {
	began := time.Now()
	err := w.register.Beat(ctx, epoch)
	w.note(began, err)
	return err
}

// run looks whenever nobody else has had an answer for a while.
func (w *Watched) run(ctx context.Context) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if w.quiet() {
			limited, cancel := context.WithTimeout(ctx, lookTimeout)
			_, _ = w.Look(limited) // which notes what came of it
			cancel()
		}
	}
}

// quiet says that no call was answered lately.
func (w *Watched) quiet() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.answered) > lookInterval
}

// note remembers what came of a call. That another view is in force, or that one is too long, is an answer; a call that its caller has ended
// says nothing.
func (w *Watched) note(began time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil, errors.Is(err, ErrMoved), errors.Is(err, errTooLong):
		if w.said {
			w.log.Info("the register of the nodes answers again", "register", w.name, "after", time.Since(w.failing).Round(time.Millisecond).String())
		}
		w.answered, w.failing, w.said = time.Now(), time.Time{}, false
	case errors.Is(err, context.Canceled):
	default:
		if w.failing.IsZero() {
			w.failing = began
		}
		if !w.said && time.Since(w.failing) >= unanswered {
			w.said = true
			w.log.Warn("the register of the nodes does not answer: until it does, no node can take the place of another one, join or start, and a leader without it stops after a minute",
				"register", w.name, "for", time.Since(w.failing).Round(time.Millisecond).String(), "error", err)
		}
	}
}
