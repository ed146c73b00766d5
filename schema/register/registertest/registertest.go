// Package registertest has what every register.Register must do, as tests.
package registertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/schema/clickhousetest"
	"lastseen/schema/register"
)

// Contract tests a register that is empty, through as many connections as open is called for.
func Contract(t *testing.T, open func() register.Register) {
	first, second := open(), open()
	holds(t, first, register.State{})
	if err := first.Swap(t.Context(), 1, []byte("none")); !errors.Is(err, register.ErrMoved) {
		t.Errorf("a swap of an epoch that there has not been yet: %v", err)
	}
	awkward := []byte(`{"members": ["O'Neill\\n", "ü", "` + "\t" + `\"]}`)
	swap(t, first, 0, awkward)
	holds(t, second, register.State{Epoch: 1, View: awkward})
	beat(t, first, 1)
	before := look(t, second).Beat
	beat(t, first, 1)
	if after := look(t, second).Beat; after == before {
		t.Errorf("the register's beat stands at %d after another one", after)
	}
	swap(t, second, 1, []byte("two"))
	for name, err := range map[string]error{
		"a swap of an epoch that is over": first.Swap(t.Context(), 1, []byte("another")), "a beat of one": first.Beat(t.Context(), 1),
		"a swap of an epoch that is over long since": first.Swap(t.Context(), 0, []byte("another")),
	} {
		if !errors.Is(err, register.ErrMoved) {
			t.Errorf("%s: %v, want %v", name, err, register.ErrMoved)
		}
	}
	holds(t, first, register.State{Epoch: 2, View: []byte("two")})
	if err := first.Swap(t.Context(), 2, make([]byte, register.MaxView+1)); err == nil {
		t.Error("a view of any length is taken")
	}
	race(t, open)
	// Epochs that the register may have forgotten are over all the same.
	now := look(t, first)
	for epoch := range now.Epoch {
		if err := first.Swap(t.Context(), epoch, []byte("late")); !errors.Is(err, register.ErrMoved) {
			t.Fatalf("a swap of epoch %d at epoch %d: %v", epoch, now.Epoch, err)
		}
	}
	holds(t, second, now)
}

// race has many who want the next epoch, each over a connection of its own: one gets it, always, and from then on every one who looks
// sees that one's view or a later one.
func race(t *testing.T, open func() register.Register) {
	const rounds = 12
	racers := make([]register.Register, 6)
	for i := range racers {
		racers[i] = open()
	}
	for range rounds {
		epoch := look(t, racers[0]).Epoch
		var winner atomic.Int64
		var racing sync.WaitGroup
		for i, racer := range racers {
			racing.Go(func() {
				switch err := racer.Swap(t.Context(), epoch, fmt.Append(nil, "racer ", i)); {
				case err == nil && !winner.CompareAndSwap(0, int64(i)+1):
					t.Errorf("racer %d got epoch %d after another one", i, epoch+1)
				case err != nil && !errors.Is(err, register.ErrMoved):
					t.Errorf("racer %d: %v", i, err)
				}
				if seen := look(t, racer); seen.Epoch != epoch+1 {
					t.Errorf("after the race for epoch %d racer %d sees %d", epoch+1, i, seen.Epoch)
				}
			})
		}
		racing.Wait()
		if winner.Load() == 0 {
			t.Fatalf("nobody got epoch %d", epoch+1)
		}
		holds(t, racers[0], register.State{Epoch: epoch + 1, View: fmt.Append(nil, "racer ", winner.Load()-1)})
	}
}

// Faults tests a register that is reached through a proxy, and that another one reaches directly. Answers are lost after so many bytes.
func Faults(t *testing.T, far, near register.Register, proxy *clickhousetest.Proxy, after ...int) {
	for _, bytes := range after {
		loseAnAnswer(t, far, near, proxy, bytes)
	}
	epoch := look(t, near).Epoch
	proxy.Cut()
	for name, err := range map[string]error{"beat": far.Beat(briefly(t), epoch), "swap": far.Swap(briefly(t), epoch, []byte("away"))} {
		if err == nil || errors.Is(err, register.ErrMoved) {
			t.Errorf("a %s while the register is away is answered %v", name, err)
		}
	}
	if _, err := far.Look(briefly(t)); err == nil {
		t.Error("a look while the register is away sees something")
	}
	proxy.Mend()
	eventually(t, far)
	beat(t, far, look(t, near).Epoch)
}

// loseAnAnswer has a swap whose outcome may not be told to who makes it, who finds it out.
func loseAnAnswer(t *testing.T, far, near register.Register, proxy *clickhousetest.Proxy, bytes int) {
	before := look(t, near)
	view := fmt.Append(nil, "after ", bytes)
	proxy.LoseAnswersAfter(bytes)
	err := far.Swap(briefly(t), before.Epoch, view)
	if errors.Is(err, register.ErrMoved) {
		t.Errorf("a swap whose answer was lost after %d bytes is answered %v", bytes, err)
	}
	proxy.Mend()
	seen := eventually(t, far)
	t.Logf("after %d bytes: %v, and epoch %d became %d", bytes, err, before.Epoch, seen.Epoch)
	switch {
	case seen.Epoch == before.Epoch && err != nil:
		swap(t, far, before.Epoch, view)
	case string(seen.View) != string(view):
		t.Errorf("a swap whose answer was lost after %d bytes, and answered %v, has put %q in force", bytes, err, seen.View)
	}
	if err := far.Swap(t.Context(), before.Epoch, []byte("again")); !errors.Is(err, register.ErrMoved) {
		t.Errorf("the swap that went through is made again: %v", err)
	}
	holds(t, near, register.State{Epoch: before.Epoch + 1, View: view})
}

// briefly is a context of a call that is not expected to succeed.
func briefly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// eventually looks until that succeeds.
func eventually(t *testing.T, r register.Register) register.State {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		state, err := r.Look(briefly(t))
		if err == nil {
			return state
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the register does not come back: %v", err)
		}
	}
}

func look(t *testing.T, r register.Register) register.State {
	t.Helper()
	state, err := r.Look(t.Context())
	if err != nil {
		t.Errorf("look at the register: %v", err)
	}
	return state
}

// holds compares what is seen but for the beat.
func holds(t *testing.T, r register.Register, want register.State) {
	t.Helper()
	if got := look(t, r); got.Epoch != want.Epoch || string(got.View) != string(want.View) {
		t.Errorf("the register says epoch %d, %q, want %d, %q", got.Epoch, got.View, want.Epoch, want.View)
	}
}

func swap(t *testing.T, r register.Register, epoch uint64, view []byte) {
	t.Helper()
	if err := r.Swap(t.Context(), epoch, view); err != nil {
		t.Fatalf("put a view after epoch %d: %v", epoch, err)
	}
}

func beat(t *testing.T, r register.Register, epoch uint64) {
	t.Helper()
	if err := r.Beat(t.Context(), epoch); err != nil {
		t.Fatalf("beat in epoch %d: %v", epoch, err)
	}
}
