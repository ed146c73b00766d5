package apikey_test

import (
	"errors"
	"testing"
	"time"

	"lastseen/keys/apikey"
	"lastseen/schema"
)

// lastUse returns when the list says that a key was last used.
func (f *fixture) lastUse(t *testing.T, id schema.ID) time.Time {
	t.Helper()
	return f.listed(t, id).LastUsedAt
}

func (f *fixture) flush(t *testing.T) {
	t.Helper()
	if err := f.auth.FlushUses(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestUsesOfKeys(t *testing.T) {
	t.Parallel()
	t.Run("are written once however many there are", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		record, text := f.create(t, schema.KindAPIKey)
		if got := f.lastUse(t, record.ID); !got.IsZero() {
			t.Errorf("a key that was never used was used at %v", got)
		}
		for range 50 {
			f.want(t, text, nil)
			f.clock.Advance(time.Second)
		}
		if n := f.store.useWrites.Load(); n != 0 {
			t.Errorf("%d writes on the requests' path", n)
		}
		f.flush(t)
		if got, want := f.lastUse(t, record.ID), f.clock.Now().Add(-time.Second); !got.Equal(want) {
			t.Errorf("last used at %v, want %v", got, want)
		}
		f.flush(t) // nothing is new
		if n := f.store.useWrites.Load(); n != 1 {
			t.Errorf("%d writes, want 1", n)
		}
	})
	t.Run("are not counted when the key is refused", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		record, text := f.create(t, schema.KindAPIKey)
		f.revoke(t, record.ID)
		f.want(t, text, schema.RevokedCredential)
		f.flush(t)
		if got := f.lastUse(t, record.ID); !got.IsZero() {
			t.Errorf("a refused key was used at %v", got)
		}
	})
	t.Run("are tried again when they could not be written", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		var ids []schema.ID
		for range 3 {
			record, text := f.create(t, schema.KindAPIKey)
			f.want(t, text, nil)
			ids = append(ids, record.ID)
		}
		failure := errors.New("the disk is full")
		f.store.set(nil, nil, func() error { return failure })
		if err := f.auth.FlushUses(t.Context()); !errors.Is(err, failure) {
			t.Errorf("flush: %v", err)
		}
		f.store.set(nil, nil, nil)
		f.flush(t)
		for _, id := range ids {
			if got := f.lastUse(t, id); !got.Equal(f.clock.Now()) {
				t.Errorf("last used at %v, want %v", got, f.clock.Now())
			}
		}
	})
	t.Run("are written when the service stops", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		record, text := f.create(t, schema.KindAPIKey)
		f.want(t, text, nil)
		if err := f.auth.Close(); err != nil {
			t.Fatal(err)
		}
		if got := f.lastUse(t, record.ID); !got.Equal(f.clock.Now()) {
			t.Errorf("last used at %v, want %v", got, f.clock.Now())
		}
	})
	t.Run("are written by the background", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(c *apikey.AuthenticatorConfig) { c.UsesEvery = time.Millisecond })
		written := make(chan struct{}, 100)
		f.store.set(nil, nil, func() error {
			written <- struct{}{}
			return nil
		})
		record, text := f.create(t, schema.KindAPIKey)
		f.want(t, text, nil)
		<-written
		if err := f.auth.Close(); err != nil { // waits for the write
			t.Fatal(err)
		}
		if got := f.lastUse(t, record.ID); !got.Equal(f.clock.Now()) {
			t.Errorf("last used at %v, want %v", got, f.clock.Now())
		}
	})
}
