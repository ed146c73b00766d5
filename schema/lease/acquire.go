package lease

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Options say how to take a lease.
type Options struct {
	Length time.Duration // 0 means Length
	Log    *slog.Logger  // gets what is waited for, and that the lease could not be renewed; nil for nowhere
}

// whole returns the options with what they leave open.
func (o Options) whole() Options {
	if o.Length == 0 {
		o.Length = Length
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Acquire takes the lease for self, of whom Node, Host, Dir and PID are given, and renews it until Close. Where another
// process holds it and lives it fails with a *HeldError, within a third of that one's lease as a rule; where it is not known
// to live it waits for as long as that lease lasts. The caller holds the lock of self.Dir.
func Acquire(ctx context.Context, register Register, self Holder, options Options) (*Lease, error) {
	options = options.whole()
	self.Since, self.Length = time.Now().UnixMilli(), options.Length.Milliseconds()
	for {
		l, err := attempt(ctx, register, self, options)
		if !errors.Is(err, ErrMoved) {
			return l, err
		}
		// Somebody else claims the lease at the same time. Who looks again sees whoever was first, if anybody was.
		if err := pause(ctx, rand.N(options.Length/10)); err != nil {
			return nil, err
		}
	}
}

// attempt is Acquire for once. It fails with ErrMoved when others were there at the same time.
func attempt(ctx context.Context, register Register, self Holder, options Options) (*Lease, error) {
	self.Claim = cryptorand.Text()
	seen, err := look(ctx, register)
	if err != nil {
		return nil, err
	}
	if err := succeed(ctx, register, seen, self, options); err != nil {
		return nil, err
	}
	l := &Lease{register: register, epoch: seen.Epoch + 1, self: self, length: options.Length, log: options.Log, born: time.Now(), lost: make(chan struct{})}
	if err := l.renew(ctx); err != nil {
		return nil, fmt.Errorf("take the lease of the database: %w", err)
	}
	l.start()
	return l, nil
}

// succeed begins the epoch after one, as soon as its holder writes no more.
func succeed(ctx context.Context, register Register, seen View, self Holder, options Options) error {
	if !seen.Holder.gone(self) {
		options.Log.Warn("another lastseen wrote to this database and has not given its lease up; waiting until it has ended",
			"host", seen.Holder.Host, "pid", seen.Holder.PID, "for", seen.Holder.length(options.Length).String())
		if err := outwait(ctx, register, seen, options.Length); err != nil {
			return err
		}
	}
	return follow(ctx, register, seen, self.Claim, options.Length)
}

// look reads the register.
func look(ctx context.Context, register Register) (View, error) {
	seen, err := register.Look(ctx)
	if err != nil {
		return View{}, fmt.Errorf("find out who writes to the database: %w", err)
	}
	return seen, nil
}

// outwait returns nil when the register has said the same for as long as the holder's lease lasts, and a *HeldError when
// it has changed.
func outwait(ctx context.Context, register Register, seen View, least time.Duration) error {
	length := time.Duration(float64(seen.Holder.length(least)) * slower)
	for began := time.Now(); time.Since(began) < length; {
		if err := pause(ctx, length/20); err != nil {
			return err
		}
		now, err := register.Look(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("find out who writes to the database: %w", err)
		case now.Holder.Left || now.Epoch != seen.Epoch && now.Holder == seen.Holder:
			return ErrMoved // look again
		case now != seen:
			return held(now, least)
		}
	}
	return nil
}

// follow begins the epoch after one. Where the holder turns out to have renewed its lease at the last moment, it waits
// until that one has ended.
func follow(ctx context.Context, register Register, seen View, claim string, least time.Duration) error {
	if err := register.Swap(ctx, seen.Epoch, claim); err != nil {
		return fmt.Errorf("take the lease of the database: %w", err)
	}
	now, err := register.Look(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("find out who writes to the database: %w", err)
	case now.Holder != seen.Holder && !now.Holder.Left:
		return pause(ctx, time.Duration(float64(now.Holder.length(least))*slower))
	}
	return nil
}

func held(v View, least time.Duration) error {
	return &HeldError{Holder: v.Holder, Ends: time.Now().Add(v.Holder.length(least))}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the lease of the database: %w", context.Cause(ctx))
	}
}
