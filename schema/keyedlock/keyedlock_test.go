package keyedlock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"lastseen/schema/keyedlock"
)

func TestAKeyIsHeldByOneAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		locks := keyedlock.New(8)
		unlock, err := locks.Lock(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		held := false
		go func() {
			next, err := locks.Lock(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			held = true
			next()
		}()
		synctest.Wait()
		if held {
			t.Error("two hold one key")
		}
		unlock()
		synctest.Wait()
		if !held {
			t.Error("nobody got the key that was given back")
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	locks := keyedlock.New(1)
	unlock, err := locks.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("it takes too long")
	cancel(why)
	if _, err := locks.Lock(ctx, "b"); !errors.Is(err, why) {
		t.Errorf("the error is %v, want %v", err, why)
	}
}
