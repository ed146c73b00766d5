package apikey_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/keys/people"
	"lastseen/schema"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	t.Run("an API key acts as operator of its organisation, without a user", func(t *testing.T) {
		record, text := f.create(t, schema.KindAPIKey)
		want := &keys.Principal{Kind: keys.CallerAPIKey, OrgID: "org_a", Role: keys.RoleOperator, KeyID: record.ID, ExpiresAt: record.ExpiresAt}
		for range 3 {
			got, err := f.auth.Authenticate(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(keys.Principal{}, "Uses")); diff != "" {
				t.Errorf("the principal (- want, + got):\n%s", diff)
			}
		}
	})
	t.Run("a device credential has no role and may be bound to a device", func(t *testing.T) {
		record, text, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{
			Kind: schema.KindDeviceCredential, Name: "gateway", ExpiresAt: f.clock.Now().Add(time.Hour), DeviceID: ownDevice,
		})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text, "dk_") || record.DeviceID != ownDevice {
			t.Errorf("the credential begins with %q and is bound to %v", text[:3], record.DeviceID)
		}
		got, err := f.auth.Authenticate(t.Context(), []byte(text))
		want := &keys.Principal{Kind: keys.CallerDeviceCredential, OrgID: "org_a", KeyID: record.ID, DeviceID: ownDevice, ExpiresAt: record.ExpiresAt}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("error %v, the principal (- want, + got):\n%s", err, diff)
		}
	})
	t.Run("a user token acts as its user", func(t *testing.T) {
		token, err := f.issuer.Sign(people.User{ID: "user_1", OrgID: "org_b", Role: keys.RoleOwner}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // verified, and remembered
			got, err := f.auth.Authenticate(t.Context(), []byte(token))
			if err != nil || got.Kind != keys.CallerUser || got.OrgID != "org_b" || got.UserID != "user_1" || got.Role != keys.RoleOwner {
				t.Errorf("got %+v, error %v", got, err)
			}
		}
	})
	t.Run("a user token that was good stops being good when it expires", func(t *testing.T) {
		token, err := f.issuer.Sign(people.User{ID: "user_1", OrgID: "org_b", Role: keys.RoleOwner}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		f.want(t, []byte(token), nil)
		f.clock.Advance(2 * time.Minute)
		f.want(t, []byte(token), schema.ExpiredCredential)
	})
	t.Run("a key expires at its expiry, in the cache or not", func(t *testing.T) {
		record, text, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{
			Kind: schema.KindAPIKey, Name: "short", ExpiresAt: f.clock.Now().Add(time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		f.warm(t, []byte(text))
		f.clock.Advance(record.ExpiresAt.Sub(f.clock.Now()) - time.Millisecond)
		f.want(t, []byte(text), nil)
		f.clock.Advance(time.Millisecond)
		f.want(t, []byte(text), schema.ExpiredCredential)
		if _, err := f.newAuthenticator(t, nil).Authenticate(t.Context(), []byte(text)); !errors.Is(err, schema.ExpiredCredential) {
			t.Errorf("another authenticator: got %v", err)
		}
	})
}

func TestAuthenticateRefusesWithoutALookUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	_, key := f.create(t, schema.KindAPIKey)
	mistyped := []byte(string(key[:10]) + "_" + string(key[11:]))
	for name, test := range map[string]struct {
		credential string
		want       error
	}{
		"nothing":                        {"", schema.NoCredential},
		"a word":                         {"hunter2", schema.NoCredential},
		"a key's prefix":                 {"ak_", schema.InvalidCredential},
		"a key that is too long":         {string(key) + "x", schema.InvalidCredential},
		"a key that is cut off":          {string(key[:30]), schema.InvalidCredential},
		"a mistyped key":                 {string(mistyped), schema.InvalidCredential},
		"a device credential's prefix":   {"dk_x", schema.InvalidCredential},
		"a key in upper case":            {strings.ToUpper(string(key)), schema.NoCredential},
		"three parts that are no token":  {"a.b.c", schema.InvalidCredential},
		"three empty parts":              {"..", schema.InvalidCredential},
		"four parts":                     {"a.b.c.d", schema.NoCredential},
		"a token of more than 8 KiB":     {strings.Repeat("a", 9000) + ".b.c", schema.InvalidCredential},
		"a key with three parts":         {"ak_a.b.c", schema.InvalidCredential},
		"bytes that are not even UTF-8":  {"\xff\xfe", schema.NoCredential},
		"a key with a byte after the nl": {string(key) + "\n", schema.InvalidCredential},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.auth.Authenticate(t.Context(), []byte(test.credential))
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	if n := f.store.lookUps.Load(); n != 0 {
		t.Errorf("%d look-ups", n)
	}
}

// TestAuthenticateDoesNotAllocate holds for every answer that the memory gives. It does not run in
// parallel, since others' allocations would count.
func TestAuthenticateDoesNotAllocate(t *testing.T) {
	f := newFixture(t, nil)
	_, good := f.create(t, schema.KindAPIKey)
	revoked, revokedText := f.create(t, schema.KindAPIKey)
	late, lateText := f.create(t, schema.KindAPIKey)
	_, expiredText, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{Kind: schema.KindAPIKey, Name: "short", ExpiresAt: f.clock.Now().Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	token, err := f.issuer.Sign(people.User{ID: "user_1", OrgID: "org_b", Role: keys.RoleOwner}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	f.warm(t, revokedText)
	f.revoke(t, revoked.ID)
	f.revoke(t, late.ID)
	f.clock.Advance(time.Second)
	expired, unknown := []byte(expiredText), apikey.FormatKey(schema.KindAPIKey, [32]byte{42})
	for name, test := range map[string]struct {
		credential []byte
		want       error
	}{
		"a key":                           {good, nil},
		"a key that does not exist":       {unknown, schema.InvalidCredential},
		"a mistyped key":                  {unknown[1:], schema.NoCredential},
		"a revoked key that was used":     {revokedText, schema.RevokedCredential},
		"a revoked key that was not used": {lateText, schema.RevokedCredential},
		"an expired key":                  {expired, schema.ExpiredCredential},
		"a user token":                    {[]byte(token), nil},
	} {
		t.Run(name, func(t *testing.T) {
			f.warm(t, test.credential)
			f.want(t, test.credential, test.want)
			ctx, lookUps := t.Context(), f.store.lookUps.Load()
			if n := testing.AllocsPerRun(1000, func() { f.auth.Authenticate(ctx, test.credential) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if n := f.store.lookUps.Load() - lookUps; n != 0 {
				t.Errorf("%d look-ups", n)
			}
		})
	}
}

func TestAKeyIsNotTakenForAnotherInItsSlot(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	stranger := schema.APIKey{
		Hash: schema.KeyHash{1}, ID: schema.NewID(), Kind: schema.KindAPIKey, OrgID: "org_stranger", ExpiresAt: f.clock.Now().Add(time.Hour),
	}
	unknown := apikey.FormatKey(schema.KindAPIKey, [32]byte{3})
	apikey.CacheInSlotOf(f.auth, unknown, stranger)
	f.want(t, unknown, schema.InvalidCredential)
	record, text := f.create(t, schema.KindAPIKey)
	apikey.CacheInSlotOf(f.auth, text, stranger)
	if got, err := f.auth.Authenticate(t.Context(), text); err != nil || got.KeyID != record.ID || got.OrgID != "org_a" {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestAuthenticatorNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := apikey.NewAuthenticator(apikey.AuthenticatorConfig{}); err == nil {
		t.Error("an authenticator without a store is made")
	}
}

func TestCloseStopsLookUpsAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	_, text := f.create(t, schema.KindAPIKey)
	held := newGate()
	f.store.set(held.pass, nil, nil)
	var caller sync.WaitGroup
	caller.Go(func() { f.want(t, text, schema.Unavailable) })
	<-held.reached
	for range 2 {
		if err := f.auth.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	caller.Wait()
	f.want(t, text, schema.Unavailable)
	if err := f.channel.Publish(context.Background(), apikey.Notice{Kind: apikey.NoticeCreated}); err != nil {
		t.Errorf("publish without subscribers: %v", err)
	}
}
