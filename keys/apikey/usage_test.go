package apikey_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/schema"
)

// counted are the requests of org_a on some days, by route and outcome.
func (f *fixture) counted(t *testing.T, ids []schema.ID, first, last time.Time) map[[2]string]uint64 {
	t.Helper()
	lines, err := f.service.Usage(t.Context(), "org_a", ids, first, last)
	if err != nil {
		t.Fatal(err)
	}
	counted := map[[2]string]uint64{}
	for _, line := range lines {
		counted[[2]string{line.Route, line.Outcome}] += line.Requests
	}
	return counted
}

// TestUsesAreCountedExactly while they are written, the store fails, and the process ends.
func TestUsesAreCountedExactly(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *apikey.AuthenticatorConfig) { c.Routes = []string{"other", "/one", "/two"} })
	record, text := f.create(t, schema.KindAPIKey)
	principal, err := f.auth.Authenticate(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	var failing sync.Mutex
	fails := 0
	f.store.usage = func() error {
		failing.Lock()
		defer failing.Unlock()
		if fails++; fails%3 == 0 {
			return errors.New("the store is out of reach")
		}
		return nil
	}
	const writers, each = 4, 20_000
	var counting sync.WaitGroup
	for range writers {
		counting.Go(func() {
			for i := range each {
				principal.Uses.Count(uint8(i%3), keys.Outcome(i%4))
			}
		})
	}
	done := make(chan struct{})
	go func() { counting.Wait(); close(done) }()
	for flushing := true; flushing; {
		select {
		case <-done:
			flushing = false
		default:
			_ = f.auth.FlushUses(t.Context()) // which fails now and then
		}
	}
	f.store.usage = nil
	if err := f.auth.FlushUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	today := f.clock.Now().UTC().Truncate(24 * time.Hour)
	total, counted := uint64(0), f.counted(t, []schema.ID{record.ID}, today, today)
	for _, n := range counted {
		total += n
	}
	if total != writers*each || len(counted) != 12 || counted[[2]string{"/one", "not_modified"}] == 0 {
		t.Errorf("%d requests are counted, want %d: %v", total, writers*each, counted)
	}

	// A day later, and written by the end of the process.
	f.clock.Advance(24 * time.Hour)
	other := f.newAuthenticator(t, func(c *apikey.AuthenticatorConfig) { c.Routes = []string{"other", "/one"} })
	long, longText, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{Kind: schema.KindAPIKey, Name: "long", ExpiresAt: f.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if principal, err = other.Authenticate(t.Context(), []byte(longText)); err != nil {
		t.Fatal(err)
	}
	principal.Uses.Count(1, keys.OutcomeFailed)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	tomorrow := today.AddDate(0, 0, 1)
	if got := f.counted(t, []schema.ID{long.ID}, tomorrow, tomorrow); len(got) != 1 || got[[2]string{"/one", "failed"}] != 1 {
		t.Errorf("the next day has %v", got)
	}
	if got := f.counted(t, nil, today, tomorrow); len(got) != 12 {
		t.Errorf("both days have %v", got)
	}
}

func TestUsageIsOfTheOrganisationsKeysAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	record, _ := f.create(t, schema.KindAPIKey)
	device, _ := f.create(t, schema.KindDeviceCredential)
	today := f.clock.Now().UTC().Truncate(24 * time.Hour)
	usage := func(orgID string, first, last time.Time, ids ...schema.ID) error {
		_, err := f.service.Usage(t.Context(), orgID, ids, first, last)
		return err
	}
	for name, err := range map[string]error{
		"another organisation's": usage("org_b", today, today, record.ID), "absent": usage("org_a", today, today, record.ID, schema.NewID()),
		"of another kind": usage("org_a", today, today, device.ID),
	} {
		if err != schema.NotFound {
			t.Errorf("a key that is %s: %v", name, err)
		}
	}
	wantInvalid(t, usage("org_a", today, today.AddDate(0, 0, -1)), "end_date")
	wantInvalid(t, usage("org_a", today.AddDate(0, 0, -400), today), "start_date")
	wantInvalid(t, usage("org_a", today, today, make([]schema.ID, 101)...), "api_key_id")
	if err := usage("org_a", today.AddDate(0, 0, -399), today, record.ID); err != nil {
		t.Error(err)
	}
}

func TestKeysThatExpireSoonAreCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for _, days := range []int{1, 6, 8, 29, 31} {
		record, _, err := f.service.Create(t.Context(), f.admin, apikey.NewKey{Kind: schema.KindAPIKey, Name: "n", ExpiresAt: f.clock.Now().Add(time.Duration(days) * 24 * time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if days == 6 {
			f.revoke(t, record.ID)
		}
	}
	if err := f.service.CountExpiring(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.service.Stats().Expiring; len(got) != 2 || got[0] != (schema.ExpiringKeys{Kind: schema.KindAPIKey, Week: 1, Days30: 3}) {
		t.Errorf("%+v", got)
	}
}
