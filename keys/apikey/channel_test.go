package apikey_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"lastseen/keys/apikey"
)

func TestLocalChannel(t *testing.T) {
	t.Parallel()
	t.Run("answers after everybody has applied the notice", func(t *testing.T) {
		t.Parallel()
		var channel apikey.LocalChannel
		var applied atomic.Int64
		for range 3 {
			channel.Subscribe(func(context.Context, apikey.Notice) error {
				applied.Add(1)
				return nil
			})
		}
		if err := channel.Publish(t.Context(), apikey.Notice{Kind: apikey.NoticeRevoked}); err != nil || applied.Load() != 3 {
			t.Errorf("%d subscribers have applied it, error %v", applied.Load(), err)
		}
	})
	t.Run("reaches the others when one fails, and says so", func(t *testing.T) {
		t.Parallel()
		var channel apikey.LocalChannel
		var applied atomic.Int64
		failures := []error{errors.New("one"), errors.New("two")}
		for _, failure := range failures {
			channel.Subscribe(func(context.Context, apikey.Notice) error { return failure })
			channel.Subscribe(func(context.Context, apikey.Notice) error {
				applied.Add(1)
				return nil
			})
		}
		err := channel.Publish(t.Context(), apikey.Notice{})
		if applied.Load() != 2 || !errors.Is(err, failures[0]) || !errors.Is(err, failures[1]) {
			t.Errorf("%d subscribers have applied it, error %v", applied.Load(), err)
		}
	})
	t.Run("leaves out who has unsubscribed", func(t *testing.T) {
		t.Parallel()
		var channel apikey.LocalChannel
		unsubscribe := channel.Subscribe(func(context.Context, apikey.Notice) error {
			t.Error("the notice reached a subscriber that had left")
			return nil
		})
		unsubscribe()
		unsubscribe()
		if err := channel.Publish(t.Context(), apikey.Notice{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("hands the subscribers the publisher's context", func(t *testing.T) {
		t.Parallel()
		var channel apikey.LocalChannel
		channel.Subscribe(func(ctx context.Context, _ apikey.Notice) error {
			<-ctx.Done() // a subscriber that hangs until it is told to stop
			return ctx.Err()
		})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := channel.Publish(ctx, apikey.Notice{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAuthenticatorRefusesANoticeThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.channel.Publish(t.Context(), apikey.Notice{Kind: 99}); err == nil {
		t.Error("a notice of an unknown kind counts as applied")
	}
}
