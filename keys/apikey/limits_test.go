package apikey_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/schema"
)

func TestRangesOfAddressesAreRead(t *testing.T) {
	t.Parallel()
	got, err := apikey.ParseRanges([]string{"192.0.2.0/24", "2001:db8::/32", "198.51.100.7", "::1", "192.0.2.0/24", "::ffff:203.0.113.5"})
	if want := "192.0.2.0/24 2001:db8::/32 198.51.100.7/32 ::1/128 203.0.113.5/32"; err != nil || strings.Trim(join(got), " ") != want {
		t.Errorf("%s, error %v, want %s", join(got), err, want)
	}
	for _, bad := range [][]string{
		{}, {""}, {"10.0.0.0/33"}, {"10.0.0.1/8"}, {"::ffff:10.0.0.0/104"}, {"fe80::1%eth0"}, {"example.org"}, {"10.0.0.0/8,"}, {"10/8"}, {"*"},
		slices.Repeat([]string{"10.0.0.0/8"}, 21),
	} {
		_, err := apikey.ParseRanges(bad)
		wantInvalid(t, err, "allowed_ip_ranges")
	}
	for _, bad := range [][]string{{}, {"everything"}, {"last_seen", ""}, {"LAST_SEEN"}} {
		_, err := apikey.ParseScopes(bad)
		wantInvalid(t, err, "scopes")
	}
}

func join(ranges []netip.Prefix) (text string) {
	for _, r := range ranges {
		text += r.String() + " "
	}
	return text
}

// limited makes a key with limits of every kind.
func (f *fixture) limited(t *testing.T) (apikey.Record, []byte) {
	t.Helper()
	record, text, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{
		Kind: schema.KindAPIKey, Name: "limited", ExpiresAt: f.clock.Now().Add(24 * time.Hour), Limits: schema.KeyLimits{
			Denied: schema.ScopeHistory, Ranges: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}, RequestsPerSecond: 50,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return record, []byte(text)
}

// limits are those of the principal that an authenticator knows a key as.
func limits(t *testing.T, a *apikey.Authenticator, text []byte) schema.KeyLimits {
	t.Helper()
	principal, err := a.Authenticate(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return principal.Limits
}

func sameLimits(a, b schema.KeyLimits) bool {
	return a.Denied == b.Denied && a.RequestsPerSecond == b.RequestsPerSecond && slices.Equal(a.Ranges, b.Ranges)
}

func TestLimitsSurviveARestartAndARotation(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	record, text := f.limited(t)
	want := record.Limits
	if want.Denied != schema.ScopeHistory || len(want.Ranges) != 2 || want.RequestsPerSecond != 50 {
		t.Fatalf("the record says %+v", want)
	}
	if got := f.listed(t, record.ID).Limits; !sameLimits(got, want) {
		t.Errorf("listed with %+v", got)
	}
	next, nextText, err := f.service.Rotate(t.Context(), f.admin, schema.KindAPIKey, record.ID, apikey.Rotation{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if old := f.listed(t, record.ID); next.Replaces != record.ID || old.ReplacedBy != next.ID || !sameLimits(next.Limits, want) {
		t.Errorf("%+v was rotated into %+v", old, next)
	}
	for _, a := range []*apikey.Authenticator{f.auth, f.newAuthenticator(t, nil)} {
		for name, text := range map[string][]byte{"the key": text, "the one that replaced it": []byte(nextText)} {
			if got := limits(t, a, text); !sameLimits(got, want) {
				t.Errorf("%s is limited to %+v, want %+v", name, got, want)
			}
		}
	}
	_, _, err = f.service.Create(t.Context(), f.admin, apikey.NewKey{
		Kind: schema.KindDeviceCredential, Name: "device", ExpiresAt: f.clock.Now().Add(time.Hour), Limits: schema.KeyLimits{RequestsPerSecond: 1},
	})
	wantInvalid(t, err, "requests_per_second")
}

func TestAKeyIsRenamedAndNarrowedAndNeverWidened(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	record, text := f.limited(t)
	f.warm(t, text)
	update := func(u apikey.Update) (apikey.Record, error) {
		return f.service.Update(t.Context(), f.admin, schema.KindAPIKey, record.ID, u)
	}
	ranges := func(texts ...string) *[]netip.Prefix {
		var all []netip.Prefix
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return &all
	}
	for field, wider := range map[string]apikey.Update{
		"scopes":              {Denied: new(schema.KeyScopes)},
		"requests_per_second": {RequestsPerSecond: new(uint32(51))},
		"name":                {Name: new(" ")},
		"allowed_ip_ranges":   {Ranges: ranges("10.0.0.0/8", "192.0.2.0/24")},
	} {
		_, err := update(wider)
		wantInvalid(t, err, field)
	}
	for _, wider := range []*[]netip.Prefix{ranges("10.0.0.0/7"), ranges("0.0.0.0/0"), ranges("::/0"), {}} {
		_, err := update(apikey.Update{Ranges: wider})
		wantInvalid(t, err, "allowed_ip_ranges")
	}
	if got := limits(t, f.auth, text); !sameLimits(got, record.Limits) {
		t.Errorf("what was refused has changed the key: %+v", got)
	}

	f.clock.Advance(time.Second)
	narrow := schema.KeyLimits{Denied: schema.ScopeHistory | schema.ScopeSessions, Ranges: *ranges("10.1.0.0/16"), RequestsPerSecond: 5}
	f.clock.Advance(time.Second) // events are in the order of their times
	for range 2 {                // again is the same answer
		got, err := update(apikey.Update{Name: new("Renamed"), Denied: &narrow.Denied, Ranges: &narrow.Ranges, RequestsPerSecond: &narrow.RequestsPerSecond})
		if err != nil || got.Name != "Renamed" || !sameLimits(got.Limits, narrow) {
			t.Fatalf("%+v, error %v", got, err)
		}
	}
	f.clock.Advance(time.Second)
	if _, err := update(apikey.Update{Name: new("A second name")}); err != nil {
		t.Fatal(err)
	}
	for _, a := range []*apikey.Authenticator{f.auth, f.newAuthenticator(t, nil)} {
		if got := limits(t, a, text); !sameLimits(got, narrow) {
			t.Errorf("the key is limited to %+v", got)
		}
	}
	if got := f.listed(t, record.ID); got.Name != "A second name" || !sameLimits(got.Limits, narrow) {
		t.Errorf("listed as %+v", got)
	}
	page, err := f.service.Events(t.Context(), "org_a", schema.KindAPIKey, 1, 10)
	if err != nil || len(page.Events) != 3 {
		t.Fatalf("%d events, error %v", len(page.Events), err)
	}
	if e := page.Events[1]; e.Action != schema.KeyUpdated || e.Name != "Renamed" || e.UserID != "user_admin" || strings.Join(e.Changed, " ") != "name scopes allowed_ip_ranges requests_per_second" {
		t.Errorf("the event is %+v", e)
	}

	f.revoke(t, record.ID)
	if _, err := update(apikey.Update{Name: new("too late")}); !errors.Is(err, schema.Conflict) {
		t.Errorf("a revoked key: %v", err)
	}
	foreign := *f.admin
	foreign.OrgID = "org_b"
	for name, by := range map[string]*keys.Principal{"another organisation's": &foreign, "its own": f.admin} {
		id := record.ID
		if by == f.admin {
			id = schema.NewID()
		}
		if _, err := f.service.Update(t.Context(), by, schema.KindAPIKey, id, apikey.Update{Name: new("x")}); err != schema.NotFound {
			t.Errorf("%s, which is not there: %v", name, err)
		}
	}
	f.want(t, text, schema.RevokedCredential)
}

// TestANarrowedKeyIsNarrowWhateverWasUnderWay holds a look-up that has read the key as it was until the key is narrowed.
func TestANarrowedKeyIsNarrowWhateverWasUnderWay(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	record, text := f.limited(t)
	held := newGate()
	f.store.set(nil, held.pass, nil)
	var early sync.WaitGroup
	early.Go(func() {
		if _, err := f.auth.Authenticate(context.Background(), text); err != nil {
			t.Errorf("the request that came before: %v", err)
		}
	})
	<-held.reached
	f.store.set(nil, nil, nil)
	rate := uint32(7)
	if _, err := f.service.Update(t.Context(), f.admin, schema.KindAPIKey, record.ID, apikey.Update{RequestsPerSecond: &rate}); err != nil {
		t.Fatal(err)
	}
	if got := limits(t, f.auth, text); got.RequestsPerSecond != 7 {
		t.Errorf("a request that comes after is limited to %+v", got)
	}
	close(held.open)
	early.Wait()
	for range 200 { // the old record may come into the cache now
		if got := limits(t, f.auth, text); got.RequestsPerSecond != 7 {
			t.Fatalf("once the early look-up has ended: %+v", got)
		}
		if principal, known := f.auth.Known(text); known && principal.Limits.RequestsPerSecond != 7 {
			t.Fatalf("known as %+v", principal.Limits)
		}
	}
}
