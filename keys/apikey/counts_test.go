package apikey_test

import (
	"sync"
	"testing"
	"time"

	"lastseen/keys/apikey"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// TestWhatWasWrittenOfKeysIsCounted: whatever is done to keys, side by side and again, and however rows are merged, nothing
// is missing; and when a part of a table is gone, that shows, now and after a restart, until it is accepted.
func TestWhatWasWrittenOfKeysIsCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.wantMissing(t, "at first", f.service, nil)
	var all sync.WaitGroup
	for range 4 {
		record, _ := f.create(t, schema.KindAPIKey)
		other, _ := f.create(t, schema.KindAPIKey)
		for attempt := range 3 { // of the same key, several at the same time
			all.Go(func() {
				name := "renamed"
				_, _ = f.service.Update(t.Context(), f.admin, schema.KindAPIKey, record.ID, apikey.Update{Name: &name}) // which may have been revoked
				f.revoke(t, record.ID)
				_, _, _ = f.service.Rotate(t.Context(), f.admin, schema.KindAPIKey, other.ID, apikey.Rotation{Grace: time.Duration(attempt) * time.Hour})
			})
		}
	}
	all.Wait()
	f.wantMissing(t, "after changes", f.service, nil)
	for _, table := range []string{"api_keys", "api_key_events", "api_key_counts"} {
		schematest.ExecLocal(t, f.db, "OPTIMIZE TABLE %s FINAL", table)
	}
	f.wantMissing(t, "after merges", f.service, nil)
	f.wantMissing(t, "after a restart", f.restarted(t), nil)
	record, _ := f.create(t, schema.KindAPIKey)
	schematest.ExecLocal(t, f.db, "OPTIMIZE TABLE %s FINAL", "api_keys")
	f.revoke(t, record.ID)
	schematest.ExecLocal(t, f.db, "ALTER TABLE %s DELETE WHERE key_hash IN (SELECT key_hash FROM api_keys GROUP BY key_hash HAVING max(key_id) = '"+
		record.ID.String()+"') AND revoked_by_user_id != '' SETTINGS mutations_sync = 2", "api_keys")
	one := []schema.MissingRows{{Table: "api_keys", Missing: 1}}
	f.wantMissing(t, "without a revocation", f.service, one)
	restarted := f.restarted(t)
	f.wantMissing(t, "without a revocation, after a restart", restarted, one)
	if _, err := restarted.RepairRevocations(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wantMissing(t, "with the revocation again, which the events tell of", restarted, nil)
	schematest.ExecLocal(t, f.db, "TRUNCATE TABLE %s", "api_keys")
	missing, err := restarted.Missing(t.Context())
	if err != nil || len(missing) != 1 || missing[0].Missing != missing[0].Written {
		t.Errorf("without any key: %v, %v", missing, err)
	}
	if err := restarted.AcceptMissing(t.Context(), missing); err != nil {
		t.Fatal(err)
	}
	f.wantMissing(t, "accepted", restarted, nil)
	f.create(t, schema.KindAPIKey)
	f.wantMissing(t, "accepted, after a restart", f.restarted(t), nil)
}

// restarted is a service that knows only what is stored.
func (f *fixture) restarted(t *testing.T) *apikey.Service {
	t.Helper()
	db := schematest.OpenNamed(t, f.db.Database())
	return apikey.NewService(apikey.ServiceConfig{DB: db, Channel: f.channel, Devices: ownedDevices{}, Now: f.clock.Now})
}

func (f *fixture) wantMissing(t *testing.T, when string, service *apikey.Service, want []schema.MissingRows) {
	t.Helper()
	got, err := service.Missing(t.Context())
	for i := range got {
		got[i].Written = 0
	}
	if d := schematest.Diff(want, got); err != nil || d != "" {
		t.Errorf("%s: %v, missing (-want +got):\n%s", when, err, d)
	}
}

// BenchmarkMissing is what a start takes to see that nothing is missing of 100,000 keys.
func BenchmarkMissing(b *testing.B) {
	f := newFixture(b, nil)
	records := make([]schema.APIKey, 100_000)
	for i := range records {
		records[i] = schema.APIKey{Hash: schema.KeyHash{byte(i), byte(i >> 8), byte(i >> 16)}, ID: schema.NewID(), Kind: schema.KindAPIKey, OrgID: "org_a",
			CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	}
	if err := f.db.InsertAPIKeys(b.Context(), records); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if missing, err := f.service.Missing(b.Context()); err != nil || len(missing) > 0 {
			b.Fatal(missing, err)
		}
	}
}
