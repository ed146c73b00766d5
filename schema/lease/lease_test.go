package lease_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastseen/schema/lease"
)

// memory is a register in this process.
type memory struct {
	mu      sync.Mutex
	view    lease.View
	away    bool   // it cannot be reached
	swapped func() // called after each Swap; nil for nothing
}

var errAway = errors.New("the register is away")

// Look implements lease.Register.
func (m *memory) Look(context.Context) (lease.View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return lease.View{}, errAway
	}
	return m.view, nil
}

// Swap implements lease.Register.
func (m *memory) Swap(_ context.Context, epoch uint64, _ string) error {
	return m.change(epoch, func() {
		m.view.Epoch++
		if m.swapped != nil {
			m.swapped()
		}
	})
}

// Beat implements lease.Register.
func (m *memory) Beat(_ context.Context, epoch uint64, holder lease.Holder) error {
	return m.change(epoch, func() { m.view.Holder = holder })
}

func (m *memory) change(epoch uint64, change func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.away:
		return errAway
	case m.view.Epoch != epoch:
		return lease.ErrMoved
	}
	change()
	return nil
}

func (m *memory) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func node(id string) lease.Holder {
	return lease.Holder{Node: id, Host: "host-of-" + id, Dir: "/data", PID: 4711}
}

func acquire(t *testing.T, register lease.Register, id string) (*lease.Lease, time.Duration, error) {
	t.Helper()
	began := time.Now()
	l, err := lease.Acquire(t.Context(), register, node(id), lease.Options{})
	return l, time.Since(began), err
}

func mustAcquire(t *testing.T, register lease.Register, id string) *lease.Lease {
	t.Helper()
	l, _, err := acquire(t, register, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Held(); err != nil {
		t.Fatalf("a lease that was taken is not held: %v", err)
	}
	return l
}

func mustClose(t *testing.T, l *lease.Lease) {
	t.Helper()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.Held() == nil {
		t.Error("a lease that was given up is held")
	}
}

func TestASecondWriterIsToldWhoWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := new(memory)
		first := mustAcquire(t, register, "a")
		_, took, err := acquire(t, register, "b")
		held, is := errors.AsType[*lease.HeldError](err)
		if !is || held.Holder.Node != "a" || took > lease.Length/3 {
			t.Fatalf("a second writer is answered %v after %s, want that a writes within a third of the lease", err, took)
		}
		for _, want := range []string{"process 4711", "host-of-a", time.UnixMilli(held.Holder.Since).UTC().Format(time.RFC3339), held.Ends.UTC().Format(time.RFC3339)} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the sentence %q does not say %q", err, want)
			}
		}
		time.Sleep(10 * lease.Length)
		if err := first.Held(); err != nil {
			t.Errorf("the first writer has lost its lease: %v", err)
		}
		mustClose(t, first)
	})
}

func TestALeaseThatWasGivenUpIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := new(memory)
		mustClose(t, mustAcquire(t, register, "a"))
		second, took, err := acquire(t, register, "b")
		if err != nil || took > 0 {
			t.Fatalf("after the first has given up the second waits %s: %v", took, err)
		}
		mustClose(t, second)
	})
}

// TestTheNextProcessOfANodeNeedNotWait: it has the lock of the data directory, so that the other one is dead.
func TestTheNextProcessOfANodeNeedNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := &memory{view: lease.View{Epoch: 7, Holder: node("a")}}
		next, took, err := acquire(t, register, "a")
		if err != nil || took > 0 {
			t.Fatalf("the next process of the node waits %s: %v", took, err)
		}
		mustClose(t, next)
	})
}

func TestACopyOfADataDirectoryProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := new(memory)
		first := mustAcquire(t, register, "a")
		elsewhere := node("a")
		elsewhere.Dir = "/copy"
		_, err := lease.Acquire(t.Context(), register, elsewhere, lease.Options{})
		if _, is := errors.AsType[*lease.HeldError](err); !is {
			t.Errorf("a copy of the node's data directory is answered %v", err)
		}
		mustClose(t, first)
	})
}

func TestASilentHolderIsFollowedAfterItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := &memory{view: lease.View{Epoch: 3, Holder: node("dead")}}
		second, took, err := acquire(t, register, "b")
		if err != nil || took < lease.Length || took > lease.Length*5/4 {
			t.Fatalf("the lease of a dead process is taken after %s, want a little over %s: %v", took, lease.Length, err)
		}
		mustClose(t, second)
	})
}

func TestOfTwoWhoFollowOneGetsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := &memory{view: lease.View{Epoch: 3, Holder: node("dead")}}
		var leases [8]*lease.Lease
		var all sync.WaitGroup
		for i := range leases {
			all.Go(func() { leases[i], _, _ = acquire(t, register, string(rune('a'+i))) })
		}
		all.Wait()
		taken := 0
		for _, l := range leases {
			if l != nil {
				taken++
				mustClose(t, l)
			}
		}
		if taken != 1 {
			t.Errorf("%d of 8 have the lease", taken)
		}
	})
}

// TestNoTwoWriteAtATime has the register out of reach of the holder for a while, in which another one takes the lease.
func TestNoTwoWriteAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := new(memory)
		link := &reach{Register: register}
		first := mustAcquire(t, link, "a")
		link.cut(true)
		second := mustAcquire(t, register, "b")
		if err := first.Held(); !errors.Is(err, lease.ErrLapsed) {
			t.Errorf("the second writes while the first one may: %v", err)
		}
		link.cut(false)
		<-first.Lost()
		if err := first.Held(); !errors.Is(err, lease.ErrLost) {
			t.Errorf("a lease that another has: %v", err)
		}
		if err := first.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := second.Held(); err != nil {
			t.Errorf("the end of the first has cost the second its lease: %v", err)
		}
		mustClose(t, second)
	})
}

func TestALeaseThatNobodyTookIsHeldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := new(memory)
		only := mustAcquire(t, register, "a")
		register.setAway(true)
		time.Sleep(2 * lease.Length)
		if err := only.Held(); !errors.Is(err, lease.ErrLapsed) {
			t.Errorf("a lease that could not be renewed: %v", err)
		}
		register.setAway(false)
		time.Sleep(lease.Length / 30)
		if err := only.Held(); err != nil {
			t.Errorf("a lease that can be renewed again: %v", err)
		}
		mustClose(t, only)
	})
}

// TestAHolderThatRenewsAtTheLastMomentKeepsItsTime: who has begun the next epoch waits until it is over.
func TestAHolderThatRenewsAtTheLastMomentKeepsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := &memory{view: lease.View{Epoch: 3, Holder: node("slow")}}
		register.swapped = func() { register.view.Holder.Beat++ } // it came just before
		second, took, err := acquire(t, register, "b")
		if err != nil || took < 2*lease.Length {
			t.Fatalf("the lease is taken after %s, want twice its length: %v", took, err)
		}
		mustClose(t, second)
	})
}

// reach is a register that may be out of reach of one process.
type reach struct {
	lease.Register
	mu   sync.Mutex
	away bool
}

func (r *reach) cut(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

// Beat implements lease.Register.
func (r *reach) Beat(ctx context.Context, epoch uint64, holder lease.Holder) error {
	r.mu.Lock()
	away := r.away
	r.mu.Unlock()
	if away {
		return errAway
	}
	return r.Register.Beat(ctx, epoch, holder)
}
