package apikey_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/schema"
)

// setBack returns what time.Now would say had the wall clock been set back by whole seconds: only the
// system can make such a time otherwise. The wall's seconds lie above its 30 bits of nanoseconds.
func setBack(at time.Time, by time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&at))
	*wall -= uint64(by/time.Second) << 30
	return at
}

// fickleUsers is a verifier that may change its mind.
type fickleUsers struct{ withdrawn atomic.Bool }

// Verify implements apikey.TokenVerifier.
func (f *fickleUsers) Verify(context.Context, []byte) (*keys.Principal, error) {
	if f.withdrawn.Load() {
		return nil, schema.InvalidCredential
	}
	return &keys.Principal{Kind: keys.CallerUser, OrgID: "org_a", UserID: "u", Role: keys.RoleOwner, ExpiresAt: time.Now().Add(24 * time.Hour)}, nil
}

// TestWhatIsRememberedIsNotBelievedLongerWhenTheClockIsSetBack: a token whose signature was checked is believed for five
// minutes, and a key not to exist for five seconds, whatever the wall clock shows.
func TestWhatIsRememberedIsNotBelievedLongerWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	var later, back atomic.Int64
	users := new(fickleUsers)
	f := newFixture(t, func(config *apikey.AuthenticatorConfig) {
		config.Users = users
		config.Now = func() time.Time {
			return setBack(time.Now().Add(time.Duration(later.Load())), time.Duration(back.Load()))
		}
	})
	const token = "a.user.token"
	unknown := apikey.FormatKey(schema.KindAPIKey, [32]byte{7})
	if _, err := f.auth.Authenticate(t.Context(), []byte(token)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.auth.Authenticate(t.Context(), unknown); !errors.Is(err, schema.InvalidCredential) {
		t.Fatal(err)
	}
	users.withdrawn.Store(true)
	if _, err := f.auth.Authenticate(t.Context(), []byte(token)); err != nil {
		t.Errorf("a token that was verified just now: %v", err)
	}
	before := f.auth.Stats().Loads
	back.Store(int64(9 * time.Hour))
	later.Store(int64(10 * time.Minute))
	if _, err := f.auth.Authenticate(t.Context(), []byte(token)); !errors.Is(err, schema.InvalidCredential) {
		t.Errorf("a token that was verified ten minutes ago, with the clock set back: %v", err)
	}
	if _, known := f.auth.Known([]byte(token)); known {
		t.Error("it is known")
	}
	if _, err := f.auth.Authenticate(t.Context(), unknown); !errors.Is(err, schema.InvalidCredential) {
		t.Error(err)
	}
	if loads := f.auth.Stats().Loads; loads != before+1 {
		t.Errorf("a key that did not exist ten minutes ago was looked up %d times, want once", loads-before)
	}
}
