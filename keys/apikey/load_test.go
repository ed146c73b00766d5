package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"lastseen/keys/apikey"
	"lastseen/schema"
)

func TestLookUpsOfOneKeyAreShared(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	_, text := f.create(t, schema.KindAPIKey)
	held := newGate()
	f.store.set(held.pass, nil, nil)
	const callers = 200
	joined := make(chan struct{}, callers)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			if _, err := f.auth.Authenticate(joining{t.Context(), joined}, text); err != nil {
				t.Errorf("authenticate: %v", err)
			}
		})
	}
	for range callers {
		<-joined
	}
	close(held.open)
	all.Wait()
	if n := f.store.lookUps.Load(); n != 1 {
		t.Errorf("%d look-ups for %d callers", n, callers)
	}
}

func TestACallerThatLeavesDisturbsNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	_, text := f.create(t, schema.KindAPIKey)
	held := newGate()
	f.store.set(held.pass, nil, nil)
	ctx, leave := context.WithCancel(t.Context())
	var first, second sync.WaitGroup
	first.Go(func() {
		_, err := f.auth.Authenticate(ctx, text)
		if !errors.Is(err, schema.Unavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that left: %v", err)
		}
	})
	<-held.reached
	joined := make(chan struct{}, 1)
	second.Go(func() {
		if _, err := f.auth.Authenticate(joining{t.Context(), joined}, text); err != nil {
			t.Errorf("the caller that stayed: %v", err)
		}
	})
	<-joined
	leave()
	first.Wait()
	close(held.open)
	second.Wait()
	if n := f.store.lookUps.Load(); n != 1 {
		t.Errorf("%d look-ups", n)
	}
}

func TestLookUpsAreLimited(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *apikey.AuthenticatorConfig) {
		c.Loads, c.QueuedLoads, c.LoadWait = 2, 1, 100*time.Millisecond
	})
	var texts [][]byte
	for range 4 {
		_, text := f.create(t, schema.KindAPIKey)
		texts = append(texts, text)
	}
	held := newGate()
	f.store.set(held.pass, nil, nil)
	var running sync.WaitGroup
	for _, text := range texts[:2] {
		running.Go(func() { f.want(t, text, nil) })
		<-held.reached
	}
	// All turns are taken: the others are refused soon, whether in the queue or in front of it.
	var waiting sync.WaitGroup
	for _, text := range texts[2:] {
		waiting.Go(func() { f.want(t, text, schema.Unavailable) })
	}
	waiting.Wait()
	if stats := f.auth.Stats(); stats.Loads != 2 || stats.LoadsRunning != 2 || stats.LoadCapacity != 2 || stats.LoadsRefused != 2 || stats.KeysLoaded != 2 {
		t.Errorf("the counts are %+v", stats)
	}
	close(held.open)
	running.Wait()
	for _, text := range texts {
		f.want(t, text, nil)
	}
}

func TestALookUpThatTakesTooLongOrFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *apikey.AuthenticatorConfig) { c.LoadTimeout = time.Millisecond })
	_, text := f.create(t, schema.KindAPIKey)
	f.store.set(newGate().pass, nil, nil)
	f.want(t, text, schema.Unavailable) // and not forever
	failure := errors.New("the disk is on fire")
	patient := f.newAuthenticator(t, nil)
	f.store.set(func(context.Context) error { return failure }, nil, nil)
	if _, err := patient.Authenticate(t.Context(), text); !errors.Is(err, schema.Unavailable) || !errors.Is(err, failure) {
		t.Errorf("a failed look-up: %v", err)
	}
	if n := patient.Stats().LoadFailures; n != 1 {
		t.Errorf("%d failures are counted", n)
	}
	f.store.set(nil, nil, nil)
	if _, err := patient.Authenticate(t.Context(), text); err != nil {
		t.Errorf("after the failure: %v", err)
	}
}

func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	unknown := apikey.FormatKey(schema.KindAPIKey, [32]byte{7})
	t.Run("are looked up once in a while", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(c *apikey.AuthenticatorConfig) { c.UnknownFor = time.Second })
		for range 5 {
			f.want(t, unknown, schema.InvalidCredential)
		}
		if n := f.store.lookUps.Load(); n != 1 {
			t.Errorf("%d look-ups", n)
		}
		f.clock.Advance(time.Second)
		f.want(t, unknown, schema.InvalidCredential)
		if n := f.store.lookUps.Load(); n != 2 {
			t.Errorf("%d look-ups after the memory has faded", n)
		}
	})
	t.Run("do not crowd out memory", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(c *apikey.AuthenticatorConfig) { c.UnknownKeys = 4 })
		_, good := f.create(t, schema.KindAPIKey)
		f.warm(t, good)
		for i := range byte(50) {
			f.want(t, apikey.FormatKey(schema.KindAPIKey, [32]byte{i}), schema.InvalidCredential)
		}
		lookUps := f.store.lookUps.Load()
		f.want(t, good, nil)
		if f.store.lookUps.Load() != lookUps {
			t.Error("a good key was crowded out")
		}
	})
}

// createUnknown creates the very key whose text is given, which chance never does.
func createUnknown(t *testing.T, f *fixture, secret [32]byte) []byte {
	t.Helper()
	apikey.SetRandom(f.service, bytes.NewReader(secret[:]))
	_, text := f.create(t, schema.KindAPIKey)
	return text
}

func TestANewKeyWorksAtOnce(t *testing.T) {
	t.Parallel()
	secret := [32]byte{1, 2, 3}
	text := apikey.FormatKey(schema.KindAPIKey, secret)
	t.Run("after it was known not to exist", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.want(t, text, schema.InvalidCredential)
		createUnknown(t, f, secret)
		f.want(t, text, nil)
	})
	t.Run("while a look-up that did not see it is held open", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		held := newGate()
		f.store.set(nil, held.pass, nil) // ClickHouse has said no, but the answer is on its way
		var early sync.WaitGroup
		early.Go(func() { f.want(t, text, schema.InvalidCredential) })
		<-held.reached
		createUnknown(t, f, secret)
		f.store.set(nil, nil, nil)
		f.want(t, text, nil)
		close(held.open)
		early.Wait()
		// The late answer must not have been remembered. A fresh cache shows it if it was.
		f.want(t, text, nil)
	})
	t.Run("when a look-up that did not see it ends before anybody asks again", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		held := newGate()
		f.store.set(nil, held.pass, nil)
		var early sync.WaitGroup
		early.Go(func() { f.want(t, text, schema.InvalidCredential) })
		<-held.reached
		createUnknown(t, f, secret)
		f.store.set(nil, nil, nil)
		close(held.open)
		early.Wait()
		f.want(t, text, nil)
	})
}
