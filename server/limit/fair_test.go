package limit

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestNobodyHasAllPlaces(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, owner  string
		places, most int
	}{
		{"an organisation", "org_a", 8, 4},
		{"an organisation of an odd number", "org_a", 3, 2},
		{"an organisation of one", "org_a", 1, 1},
		{"the public", "", 8, 2},
		{"the public of few", "", 2, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := NewFair(tt.places, 2, time.Second)
				had := 0
				for a.Enter(t.Context(), tt.owner) == nil {
					had++
				}
				if had != tt.most {
					t.Fatalf("%d of %d places, want %d", had, tt.places, tt.most)
				}
				began := time.Now()
				if err := a.Enter(t.Context(), tt.owner); err != ErrShare || time.Since(began) != time.Second {
					t.Errorf("past the share: %v after %v", err, time.Since(began))
				}
				if err := a.Enter(t.Context(), "org_b"); (err == nil) != (tt.places > 1) {
					t.Errorf("another organisation: %v", err)
				}
			})
		})
	}
}

func TestAPlaceGoesToTheFirstWhoMayHaveIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := NewFair(4, 3, time.Second)
		for _, owner := range []string{"org_a", "org_a", "org_b", "org_b"} {
			if err := a.Enter(t.Context(), owner); err != nil {
				t.Fatal(err)
			}
		}
		got := make(chan string, 3)
		for _, owner := range []string{"org_a", "org_c", "org_b"} {
			go func() {
				if a.Enter(context.Background(), owner) == nil {
					got <- owner
				}
			}()
			synctest.Wait()
		}
		if err := a.Enter(t.Context(), "org_d"); err != ErrBusy {
			t.Errorf("past the places to wait: %v", err)
		}
		// The first who waits is org_a, which has its share until it leaves a place itself.
		for _, step := range []struct{ leaves, enters string }{{"org_b", "org_c"}, {"org_b", "org_b"}, {"org_a", "org_a"}} {
			a.Leave(step.leaves)
			if owner := <-got; owner != step.enters {
				t.Errorf("the place of %s went to %s, want %s", step.leaves, owner, step.enters)
			}
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := a.Enter(short, "org_d"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller without time got %v", err)
		}
		for _, owner := range []string{"org_a", "org_a", "org_b", "org_c"} {
			a.Leave(owner)
		}
		if stats := a.Stats(""); stats.InUse != 0 || stats.Waiting != 0 || len(a.owners) != 0 {
			t.Errorf("when all is over: %+v, %v", stats, a.owners)
		}
	})
}
