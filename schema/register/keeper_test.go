package register_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"lastseen/schema/clickhousetest"
	"lastseen/schema/register"
	"lastseen/schema/register/registertest"
)

func openKeeper(t *testing.T, address, name string) register.Register {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	k, err := register.OpenKeeper(ctx, []string{address}, name, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// TestARegisterInAKeeper has one ZooKeeper for all its parts: it takes a second to start.
func TestARegisterInAKeeper(t *testing.T) {
	t.Parallel()
	address := clickhousetest.StartKeeper(t).Address()
	t.Run("keeps views", func(t *testing.T) {
		t.Parallel()
		registertest.Contract(t, func() register.Register { return openKeeper(t, address, "contract") })
	})
	t.Run("loses answers and goes away", func(t *testing.T) {
		t.Parallel()
		near := openKeeper(t, address, "faults")
		proxy := clickhousetest.StartProxy(t, address)
		registertest.Faults(t, openKeeper(t, proxy.Address(), "faults"), near, proxy, 150)
	})
	t.Run("says where nobody answers", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		proxy := clickhousetest.StartProxy(t, address)
		proxy.Cut()
		_, err := register.OpenKeeper(ctx, []string{proxy.Address()}, "none", slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "no Keeper answers at "+proxy.Address()) {
			t.Errorf("a Keeper that is not there is answered %v", err)
		}
	})
}
