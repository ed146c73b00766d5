package apikey_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"lastseen/keys/apikey"
	"lastseen/keys/ratelimit"
	"lastseen/schema"
)

// insertKeys writes keys of org_a past the service, all at once, and returns their texts.
func insertKeys(t *testing.T, f *fixture, n int) [][]byte {
	t.Helper()
	texts := make([][]byte, n)
	records := make([]schema.APIKey, n)
	for i := range texts {
		texts[i] = apikey.FormatKey(schema.KindAPIKey, [32]byte{9, byte(i), byte(i >> 8)})
		records[i] = apikey.RecordOf(texts[i], "org_a", f.clock.Now().Add(time.Hour))
	}
	if err := f.db.InsertAPIKeys(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestTenThousandKeysAtOnceCostFewQueries(t *testing.T) {
	t.Parallel()
	const n, batch = 10_000, 1_000
	f := newFixture(t, func(c *apikey.AuthenticatorConfig) {
		c.LoadRate, c.LoadWait = ratelimit.Rate{Quota: 100, Window: time.Second}, time.Minute
	})
	known := insertKeys(t, f, n/2)
	held := newGate()
	f.store.set(held.pass, nil, nil)
	joined := make(chan struct{}, n)
	var all sync.WaitGroup
	for i := range n {
		text, want := []byte(nil), error(nil)
		if i < n/2 {
			text = known[i]
		} else {
			text, want = apikey.FormatKey(schema.KindAPIKey, [32]byte{10, byte(i), byte(i >> 8)}), schema.InvalidCredential
		}
		all.Go(func() {
			if _, err := f.auth.Authenticate(joining{t.Context(), joined}, text); !errors.Is(err, want) {
				t.Errorf("key %d: got %v, want %v", i, err, want)
			}
		})
	}
	for range n {
		<-joined
	}
	if stats := f.auth.Stats(); stats.LoadsRunning > stats.LoadCapacity || stats.LoadCapacity != 2 {
		t.Errorf("the counts are %+v", stats)
	}
	close(held.open)
	all.Wait()
	// Two look-ups were held open with whatever had come by then; the rest goes in full batches.
	if queries := f.store.lookUps.Load(); queries > n/batch+2 {
		t.Errorf("%d keys cost %d queries", n, queries)
	}
	if stats := f.auth.Stats(); stats.KeysLoaded != n || stats.LoadsRefused != 0 || stats.LoadsWaiting != 0 || stats.LoadsRunning > 2 {
		t.Errorf("the counts are %+v", stats)
	}
}

func TestAFailedBatchFailsAllThatWait(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *apikey.AuthenticatorConfig) { c.Loads = 1 })
	texts := insertKeys(t, f, 50)
	held, failure := newGate(), errors.New("the disk is on fire")
	f.store.set(held.pass, func(context.Context) error { return failure }, nil)
	joined := make(chan struct{}, len(texts))
	var all sync.WaitGroup
	for _, text := range texts {
		all.Go(func() {
			if _, err := f.auth.Authenticate(joining{t.Context(), joined}, text); !errors.Is(err, schema.Unavailable) || !errors.Is(err, failure) {
				t.Errorf("a waiter of a failed batch: %v", err)
			}
		})
	}
	for range texts {
		<-joined
	}
	close(held.open)
	all.Wait()
	f.store.set(nil, nil, nil)
	for _, text := range texts {
		f.want(t, text, nil)
	}
}

func TestAKeyThatNobodyWaitsForIsNotAskedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *apikey.AuthenticatorConfig) { c.Loads, c.LoadWait = 1, time.Minute })
	texts := insertKeys(t, f, 3)
	held := newGate()
	f.store.set(held.pass, nil, nil)
	var first, second, third sync.WaitGroup
	first.Go(func() { f.want(t, texts[0], nil) })
	<-held.reached
	ctx, leave := context.WithCancel(t.Context())
	joined := make(chan struct{}, 2)
	second.Go(func() {
		if _, err := f.auth.Authenticate(joining{ctx, joined}, texts[1]); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that left: %v", err)
		}
	})
	third.Go(func() {
		if _, err := f.auth.Authenticate(joining{t.Context(), joined}, texts[2]); err != nil {
			t.Errorf("the caller that stayed: %v", err)
		}
	})
	<-joined
	<-joined
	leave()
	second.Wait()
	close(held.open)
	first.Wait()
	third.Wait()
	if stats := f.auth.Stats(); stats.KeysLoaded != 2 || stats.Loads != 2 {
		t.Errorf("the counts are %+v", stats)
	}
}

func TestCloseAnswersWhoeverWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	auth := f.newAuthenticator(t, func(c *apikey.AuthenticatorConfig) { c.Loads, c.LoadWait = 1, time.Hour })
	texts := insertKeys(t, f, 20)
	f.store.set(newGate().pass, nil, nil) // never opened: only the end of the context lets it go
	joined := make(chan struct{}, len(texts))
	var all sync.WaitGroup
	for _, text := range texts {
		all.Go(func() {
			if _, err := auth.Authenticate(joining{t.Context(), joined}, text); !errors.Is(err, schema.Unavailable) {
				t.Errorf("a waiter at the close: %v", err)
			}
		})
	}
	for range texts {
		<-joined
	}
	if err := auth.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
}

// TestRevokeAmongABatch revokes one key of a batch that has read its record already: the others are
// accepted, it is not, and the late record that the batch puts into the cache changes nothing.
func TestRevokeAmongABatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *apikey.AuthenticatorConfig) { c.Loads = 1 })
	record, revoked := f.create(t, schema.KindAPIKey)
	texts := append(insertKeys(t, f, 30), revoked)
	// The first look-up holds the only slot until all others wait for one batch.
	opener, held := newGate(), newGate()
	f.store.set(opener.pass, nil, nil)
	_, other := f.create(t, schema.KindAPIKey)
	var first, all sync.WaitGroup
	first.Go(func() { f.want(t, other, nil) })
	<-opener.reached
	joined := make(chan struct{}, len(texts))
	for i, text := range texts {
		want := error(nil)
		if i == len(texts)-1 {
			want = schema.RevokedCredential
		}
		all.Go(func() {
			if _, err := f.auth.Authenticate(joining{t.Context(), joined}, text); !errors.Is(err, want) {
				t.Errorf("key %d: got %v, want %v", i, err, want)
			}
		})
	}
	for range texts {
		<-joined
	}
	f.store.set(nil, held.pass, nil)
	close(opener.open) // of the first look-up, which has passed by the other gate
	first.Wait()
	<-held.reached
	f.revoke(t, record.ID)
	f.want(t, revoked, schema.RevokedCredential)
	close(held.open)
	all.Wait()
	if apikey.CachedKeys(f.auth) == 0 {
		t.Error("no record is in the cache: the test does not test what it should")
	}
	f.want(t, revoked, schema.RevokedCredential)
	if stats := f.auth.Stats(); stats.Loads != 2 {
		t.Errorf("the counts are %+v", stats)
	}
}
