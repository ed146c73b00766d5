package apikey_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/keys/people"
	"lastseen/keys/ratelimit"
	"lastseen/schema"
)

func TestGuessesReachClickHouseNoFasterThanTheRate(t *testing.T) {
	t.Parallel()
	const quota, guesses = 5, 200
	f := newFixture(t, func(c *apikey.AuthenticatorConfig) {
		c.LoadRate, c.LoadWait, c.LoadBatch = ratelimit.Rate{Quota: quota, Window: time.Hour}, 100*time.Millisecond, 1
	})
	_, known := f.create(t, schema.KindAPIKey)
	f.warm(t, known)
	f.clock.Advance(2 * time.Hour)
	before := f.store.lookUps.Load()
	var all sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for i := range guesses {
		guess := apikey.FormatKey(schema.KindAPIKey, [32]byte{1, byte(i)})
		all.Go(func() {
			_, err := f.auth.Authenticate(t.Context(), guess)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, schema.Unavailable):
				refused++
			case !errors.Is(err, schema.InvalidCredential):
				t.Errorf("a guess gets %v", err)
			}
		})
	}
	all.Wait()
	if asked := f.store.lookUps.Load() - before; asked > quota || refused != guesses-int(asked) {
		t.Errorf("%d guesses made ClickHouse look up %d keys, %d were refused", guesses, asked, refused)
	}
	if stats := f.auth.Stats(); stats.LoadsTooFast == 0 || stats.LoadsRefused != uint64(refused) {
		t.Errorf("%d were refused, the counts say %+v", refused, stats)
	}
	f.want(t, known, nil) // from the cache
}

func TestALookUpWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *apikey.AuthenticatorConfig) {
		c.LoadRate, c.LoadWait = ratelimit.Rate{Quota: 1, Window: time.Second}, 2*time.Second
	})
	for i := range 2 { // the second has a second to wait
		f.want(t, apikey.FormatKey(schema.KindAPIKey, [32]byte{2, byte(i)}), schema.InvalidCredential)
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	record, text := f.create(t, schema.KindAPIKey)
	token, err := f.issuer.Sign(people.User{ID: "user_1", OrgID: "org_a", Role: keys.RoleOwner}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	known := func(credential []byte, want bool) {
		t.Helper()
		principal, got := f.auth.Known(credential)
		if got != want || got && principal.OrgID != "org_a" {
			t.Errorf("known: %v (%+v), want %v", got, principal, want)
		}
	}
	before := f.store.lookUps.Load()
	known(text, false)
	known([]byte(token), false)
	known([]byte("ak_short"), false)
	known(nil, false)
	if asked := f.store.lookUps.Load() - before; asked != 0 {
		t.Errorf("it has asked ClickHouse %d times", asked)
	}
	f.warm(t, text)
	f.want(t, []byte(token), nil)
	known(text, true)
	known([]byte(token), true)
	f.revoke(t, record.ID)
	known(text, false)
	f.clock.Advance(2 * time.Hour)
	known([]byte(token), false)
}
