package register_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastseen/schema/register"
)

// answering is a register of which the test says what it answers.
type answering struct {
	mu  sync.Mutex
	err error // nil for an answer
}

func (a *answering) say(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *answering) answer() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Look implements register.Register.
func (a *answering) Look(context.Context) (register.State, error) {
	return register.State{}, a.answer()
}

// Swap implements register.Register.
func (a *answering) Swap(context.Context, uint64, []byte) error { return a.answer() }

// Beat implements register.Register.
func (a *answering) Beat(context.Context, uint64) error { return a.answer() }

// watch watches a register, and returns what is said of it.
func watch(t *testing.T) (*answering, *register.Watched, *strings.Builder) {
	t.Helper()
	behind, said := new(answering), new(strings.Builder)
	watched := register.Watch(behind, "the Keeper keeper:2181", slog.New(slog.NewTextHandler(said, nil)))
	t.Cleanup(watched.Close)
	return behind, watched, said
}

// TestARegisterThatIsAwayIsSaidOnceAndOnceWhenItIsBack though nobody calls it, as of a node that follows another one.
func TestARegisterThatIsAwayIsSaidOnceAndOnceWhenItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		behind, watched, said := watch(t)
		time.Sleep(time.Minute)
		if said.Len() > 0 || watched.Silent() != 0 {
			t.Errorf("of a register that answers it is said %q", said)
		}
		behind.say(register.ErrAway)
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if silent := watched.Silent(); silent < 22*time.Second || silent > 25*time.Second {
			t.Errorf("it is silent for %s, want about 24s", silent)
		}
		if n := strings.Count(said.String(), "level=WARN"); n != 1 || !strings.Contains(said.String(), "the Keeper keeper:2181") {
			t.Errorf("of a register that is away it is said %q", said)
		}
		behind.say(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if watched.Silent() != 0 || strings.Count(said.String(), "answers again") != 1 || strings.Count(said.String(), "\n") != 2 {
			t.Errorf("after it is back it is silent for %s and it was said %q", watched.Silent(), said)
		}
	})
}

func TestNothingIsSaidOfARegisterThatIsAwayForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		behind, watched, said := watch(t)
		time.Sleep(10 * time.Second)
		behind.say(register.ErrAway)
		time.Sleep(2500 * time.Millisecond)
		silent := watched.Silent()
		behind.say(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if said.Len() > 0 || silent != 0 {
			t.Errorf("it is silent for %s and it is said %q", silent, said)
		}
	})
}

// TestARefusalIsAnAnswerOfTheRegister: another view is in force. A call that its caller has ended is none.
func TestARefusalIsAnAnswerOfTheRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, err := range []error{register.ErrMoved, context.Canceled} {
			behind, watched, said := watch(t)
			behind.say(err)
			for range 20 {
				if got := watched.Beat(t.Context(), 1); !errors.Is(got, err) {
					t.Errorf("a beat that is answered %v returns %v", err, got)
				}
				time.Sleep(500 * time.Millisecond)
			}
			if said.Len() > 0 || watched.Silent() != 0 {
				t.Errorf("where %v is answered it is said %q", err, said)
			}
			watched.Close()
		}
	})
}
