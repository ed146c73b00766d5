package apikey_test

import (
	"testing"

	"lastseen/schema"
)

func TestStatsTellHitsFromMissesAndTimeRevocations(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	record, text := f.create(t, schema.KindAPIKey)
	f.warm(t, text)
	before := f.auth.Stats()
	for range 3 {
		f.want(t, text, nil)
	}
	if got := f.auth.Stats(); got.Hits != before.Hits+3 || got.Misses != before.Misses || got.Loads != before.Loads {
		t.Errorf("three checks of a cached key took the counts from %+v to %+v", before, got)
	}

	f.revoke(t, record.ID)
	f.want(t, text, schema.RevokedCredential)
	if got := f.auth.Stats(); got.Misses != before.Misses+1 {
		t.Errorf("a check of a revoked key took the misses from %d to %d", before.Misses, got.Misses)
	}
	stats := f.service.Stats()
	if n := stats.Propagation.Count(); n != 1 || stats.Propagation.Sum <= 0 || stats.PropagationFailures != 0 {
		t.Errorf("%d revocations were timed, %d ns, %d failures", n, stats.Propagation.Sum, stats.PropagationFailures)
	}
}
