package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
)

// TestARotatedKeyIsGoodUntilItsGraceEnds rotates one key three times: with an hour of grace, with a
// second and with none.
func TestARotatedKeyIsGoodUntilItsGraceEnds(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	env := []string{"LASTSEEN_SERVER=" + s.base, "LASTSEEN_TOKEN=" + s.token(t, "org_rotating", keys.RoleAdministrator)}
	type record struct {
		ID        string    `json:"_id"`
		Name      string    `json:"name"`
		Status    string    `json:"status"`
		ExpiresAt time.Time `json:"expires_at_timestamp"`
	}
	listed := func() map[string]record {
		var all []record
		if err := json.Unmarshal([]byte(mustRun(t, env, "keys", "list", "--json")), &all); err != nil {
			t.Fatal(err)
		}
		byID := make(map[string]record)
		for _, r := range all {
			byID[r.ID] = r
		}
		return byID
	}
	status := func(key string) int {
		status, _, err := s.do(t.Context(), http.MethodGet, "/tracking/sessions/list/v1", nil, key, "")
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	// change runs a command that prints a key, and returns the key and its record.
	change := func(args ...string) (string, record) {
		stdout, stderr, code := command(t, env, append([]string{"keys"}, args...)...)
		key, ended := strings.CutSuffix(stdout, "\n")
		var r record
		if err := json.Unmarshal([]byte(stderr), &r); err != nil || code != 0 || !ended || !strings.HasPrefix(key, "ak_") || strings.Contains(stderr, key) {
			t.Fatalf("keys %q: exit code %d, %d bytes of stdout, stderr %s", args, code, len(stdout), stderr)
		}
		return key, r
	}
	near := func(what string, got, want time.Time) {
		t.Helper()
		if off := got.Sub(want).Abs(); off > time.Minute {
			t.Errorf("%s expires at %v, want about %v", what, got, want)
		}
	}
	first, made := change("create", "--name", "rotated", "--expires-in", "12h")
	second, next := change("rotate", "--id", made.ID, "--grace", "1h")
	if old := listed()[made.ID]; old.Status != "active" || status(first) != 200 || status(second) != 200 || second == first {
		t.Errorf("in the grace the old key is %s and gets %d, the new one %d", old.Status, status(first), status(second))
	}
	near("the old key", listed()[made.ID].ExpiresAt, time.Now().Add(time.Hour))
	near("the new key", next.ExpiresAt, time.Now().Add(12*time.Hour))

	began := time.Now()
	chosen := began.Add(48 * time.Hour).Truncate(time.Second)
	third, last := change("rotate", "--id", next.ID, "--grace", "1s", "--expires-at", chosen.UTC().Format(time.RFC3339))
	for status(second) == 200 { // for a second
		if time.Since(began) > startTimeout {
			t.Fatal("the key outlives its grace")
		}
	}
	if took := time.Since(began); took < time.Second || status(second) != 401 || status(third) != 200 {
		t.Errorf("after %v the old key gets %d and the new one %d", took, status(second), status(third))
	}
	if !last.ExpiresAt.Equal(chosen) || last.Name != "rotated" {
		t.Errorf("the new key is %+v", last)
	}

	fourth, _ := change("rotate", "--id", last.ID, "--grace", "0s")
	if got := []int{status(third), status(fourth), status(first)}; got[0] != 401 || got[1] != 200 || got[2] != 200 {
		t.Errorf("without a grace the old key, the new one and the first get %v", got)
	}
	if all := listed(); all[next.ID].Status != "expired" || all[last.ID].Status != "expired" {
		t.Errorf("the list is %+v", all)
	}
	if stdout, stderr, code := command(t, env, "keys", "rotate", "--id", last.ID); code != 1 || stdout != "" || !strings.Contains(stderr, "409: This key has expired or was revoked") {
		t.Errorf("rotating a key that is no more: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
