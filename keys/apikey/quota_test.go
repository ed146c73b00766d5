package apikey

import (
	"testing"
	"time"

	"lastseen/schema"
)

// TestKeysAreCountedAgainBeforeAnybodyIsRefusedAndNowAndThen: between, each that is made counts.
func TestKeysAreCountedAgainBeforeAnybodyIsRefusedAndNowAndThen(t *testing.T) {
	t.Parallel()
	var q quotas
	now := time.Unix(1_800_000_000, 0)
	of, others := quotaOf{"org_a", schema.KindAPIKey}, quotaOf{"org_a", schema.KindDeviceCredential}
	if q.take(of, 5, now) {
		t.Error("a key was taken to be within the quota before any were counted")
	}
	q.count(of, 3, now)
	for i, want := range []bool{true, true, false, false} {
		if got := q.take(of, 5, now.Add(time.Second)); got != want {
			t.Errorf("after %d more than the three that were counted, one more is within 5: %v, want %v", i, got, want)
		}
	}
	if !q.take(of, 6, now.Add(time.Second)) {
		t.Error("five that are known are not fewer than six")
	}
	if q.take(others, 5, now) {
		t.Error("a count of one kind is taken for another's")
	}
	q.count(of, 1, now)
	if q.take(of, 5, now.Add(countAgain)) {
		t.Error("a count holds for longer than it may")
	}
	q.count(others, 1, now.Add(countAgain))
	if len(q.counted) != 1 {
		t.Errorf("%d counts are remembered, want those that hold", len(q.counted))
	}
}
