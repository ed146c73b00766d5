package lease_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastseen/schema/lease"
)

// retire has a node of several look who has the lease, and returns what it took and said.
func retire(t *testing.T, register lease.Register, id string) (took time.Duration, log string, err error) {
	t.Helper()
	var said strings.Builder
	began := time.Now()
	err = lease.Retire(t.Context(), register, node(id), lease.Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
	return time.Since(began), said.String(), err
}

// TestADeadHolderIsWaitedForOnceOnly: the first of several nodes does so, and says why; nobody after it, also none that is alone.
func TestADeadHolderIsWaitedForOnceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := &memory{view: lease.View{Epoch: 3, Holder: node("dead")}}
		took, log, err := retire(t, register, "a")
		if err != nil || took < lease.Length || took > lease.Length*5/4 {
			t.Errorf("the first waits %s, want a little over %s: %v", took, lease.Length, err)
		}
		if !strings.Contains(log, "has not given its lease up; waiting until it has ended") || !strings.Contains(log, "host-of-dead") {
			t.Errorf("while it waits it says %q", log)
		}
		for _, id := range []string{"a", "b"} {
			if took, log, err := retire(t, register, id); err != nil || took > 0 || log != "" {
				t.Errorf("%s waits %s after that, and says %q: %v", id, took, log, err)
			}
		}
		alone, took, err := acquire(t, register, "c")
		if err != nil || took > 0 {
			t.Fatalf("who is alone waits %s after that: %v", took, err)
		}
		mustClose(t, alone)
	})
}

func TestNodesThatStartTogetherWaitForADeadHolderTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := &memory{view: lease.View{Epoch: 3, Holder: node("dead")}}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 30 * time.Millisecond)
				if took, _, err := retire(t, register, string(rune('a'+i))); err != nil || took > lease.Length*3/2 {
					t.Errorf("one of them waits %s: %v", took, err)
				}
			})
		}
		all.Wait()
	})
}

func TestNobodyRetiresAHolderThatLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := new(memory)
		alone := mustAcquire(t, register, "alone")
		took, _, err := retire(t, register, "a")
		if held, is := errors.AsType[*lease.HeldError](err); !is || held.Holder.Node != "alone" || took > lease.Length/3 {
			t.Errorf("a node of several is answered %v after %s", err, took)
		}
		if err := alone.Held(); err != nil {
			t.Error(err)
		}
		mustClose(t, alone)
	})
}

// TestAHolderThatWasRetiredAndLivesStops: it was suspended for longer than its lease.
func TestAHolderThatWasRetiredAndLivesStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := new(memory)
		link := &reach{Register: register}
		alone := mustAcquire(t, link, "alone")
		link.cut(true)
		if _, _, err := retire(t, register, "a"); err != nil {
			t.Fatal(err)
		}
		if err := alone.Held(); !errors.Is(err, lease.ErrLapsed) {
			t.Errorf("when it is retired its lease is %v", err)
		}
		link.cut(false)
		<-alone.Lost()
		mustClose(t, alone)
	})
}

// TestTheNodeThatWasAloneJoinsSeveralAtOnce: it has the lock of the data directory of the process that was killed.
func TestTheNodeThatWasAloneJoinsSeveralAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := &memory{view: lease.View{Epoch: 3, Holder: node("a")}}
		if took, _, err := retire(t, register, "a"); err != nil || took > 0 {
			t.Errorf("it waits %s: %v", took, err)
		}
		if took, _, err := retire(t, register, "b"); err != nil || took > 0 {
			t.Errorf("the next one waits %s: %v", took, err)
		}
	})
}
