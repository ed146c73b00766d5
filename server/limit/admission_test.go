package limit

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
			a := NewAdmission(1, 1, time.Second)
			if err := a.Enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			entered := make(chan error)
			go func() { entered <- a.Enter(context.Background()) }()
			time.Sleep(999 * time.Millisecond)
			a.Leave()
			if err := <-entered; err != nil {
				t.Errorf("who waited was refused: %v", err)
			}
		})
	})
	t.Run("who waits in vain is refused when the time is up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, began := NewAdmission(1, 1, time.Second), time.Now()
			a.Enter(t.Context())
			if err := a.Enter(t.Context()); err != ErrBusy || time.Since(began) != time.Second {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := a.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a caller without time got %v", err)
			}
		})
	})
	t.Run("who finds too many waiting is refused at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, began := NewAdmission(1, 1, time.Second), time.Now()
			a.Enter(t.Context())
			waiting := make(chan error)
			go func() { waiting <- a.Enter(context.Background()) }()
			synctest.Wait()
			if err := a.Enter(t.Context()); err != ErrBusy || time.Since(began) != 0 {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			a.Leave()
			if err := <-waiting; err != nil {
				t.Error(err)
			}
		})
	})
}
