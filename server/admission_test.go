package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAdmission(t *testing.T) {
	t.Parallel()
	t.Run("who waits gets the next place", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newAdmission(1, 1, time.Second)
			if err := a.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			entered := make(chan error)
			go func() { entered <- a.enter(context.Background()) }()
			time.Sleep(999 * time.Millisecond)
			a.leave()
			if err := <-entered; err != nil {
				t.Errorf("who waited was refused: %v", err)
			}
		})
	})
	t.Run("who waits in vain is refused when the time is up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, began := newAdmission(1, 1, time.Second), time.Now()
			a.enter(t.Context())
			if err := a.enter(t.Context()); err != problemBusy || time.Since(began) != time.Second {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := a.enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a caller without time got %v", err)
			}
		})
	})
	t.Run("who finds too many waiting is refused at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, began := newAdmission(1, 1, time.Second), time.Now()
			a.enter(t.Context())
			waiting := make(chan error)
			go func() { waiting <- a.enter(context.Background()) }()
			synctest.Wait()
			if err := a.enter(t.Context()); err != problemBusy || time.Since(began) != 0 {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			a.leave()
			if err := <-waiting; err != nil {
				t.Error(err)
			}
		})
	})
}
