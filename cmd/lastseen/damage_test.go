package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lastseen/keys"
	"lastseen/schema/schematest"
)

// TestDamagedKeysAreRefusedUntilTheLossIsAccepted cuts the files of the stored keys while the service is
// down. Whoever was revoked must not be let in by it.
func TestDamagedKeysAreRefusedUntilTheLossIsAccepted(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "it damages the files of the engine")
	dir := t.TempDir()
	s, env, revoked := startWithRevokedKey(t, dir)
	good := strings.TrimSpace(mustRun(t, env, "keys", "create", "--name", "good", "--expires-in", "1d"))
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	cutParts(t, filepath.Join(dir, "clickhouse", "data", "lastseen", "api_keys"))

	for _, run := range []struct {
		flags          []string
		ready, revoked int
		said           string
	}{
		{nil, 503, 503, "all keys are refused"},
		{[]string{"--accept-damage"}, 200, 401, "it is accepted"},
	} {
		s, err := startService(dir, run.flags...)
		if err != nil {
			t.Fatal(err)
		}
		if got := status(t, s.base+"/readyz"); got != run.ready {
			t.Errorf("with %v /readyz answers %d, want %d", run.flags, got, run.ready)
		}
		for name, key := range map[string]string{"revoked": revoked, "good": good} {
			got, answer, err := s.do(t.Context(), http.MethodGet, "/tracking/sessions/list/v1", nil, key, "")
			if err != nil || got != run.revoked {
				t.Errorf("with %v the %s key gets %d %s, error %v, want %d", run.flags, name, got, answer, err, run.revoked)
			}
		}
		if err := s.terminate(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(s.log.String(), run.said); n == 0 {
			t.Errorf("with %v the log says nothing of it:\n%s", run.flags, s.log.String())
		}
	}
}

// TestALossOfKeysWithoutATraceIsNoticed removes what was written last of the stored keys while the service is down, the
// revocation in both of its places. Nothing that can be read tells of it, and nobody is let in until it is accepted.
func TestALossOfKeysWithoutATraceIsNoticed(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "it removes files of the engine")
	dir := t.TempDir()
	s, _, revoked := startWithRevokedKey(t, dir)
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"api_keys", "api_key_events"} {
		removeLastPart(t, filepath.Join(dir, "clickhouse", "data", "lastseen", table))
	}
	for _, run := range []struct {
		flags []string
		ready int
		said  string
	}{
		{nil, 503, "1 of the 2 writes to api_keys are missing"},
		{[]string{"--accept-damage"}, 200, "it is accepted"},
		{nil, 200, "listen"},
	} {
		s, err := startService(dir, run.flags...)
		if err != nil {
			t.Fatal(err)
		}
		if got := status(t, s.base+"/readyz"); got != run.ready {
			t.Errorf("with %v /readyz answers %d, want %d", run.flags, got, run.ready)
		}
		got, answer, err := s.do(t.Context(), http.MethodGet, "/tracking/sessions/list/v1", nil, revoked, "")
		if err != nil || run.ready == 503 && got != 503 {
			t.Errorf("with %v the key that was revoked gets %d %s, error %v, want 503", run.flags, got, answer, err)
		}
		if err := s.terminate(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(s.log.String(), run.said) {
			t.Errorf("with %v the log does not say %q:\n%s", run.flags, run.said, s.log.String())
		}
	}
}

// startWithRevokedKey starts a service on a new data directory and makes a key that it revokes. env is that of the owner's commands.
func startWithRevokedKey(t *testing.T, dir string) (s *service, env []string, revoked string) {
	t.Helper()
	s, err := startService(dir)
	if err != nil {
		t.Fatal(err)
	}
	env = []string{"LASTSEEN_SERVER=" + s.base, "LASTSEEN_TOKEN=" + s.token(t, "org_damaged", keys.RoleOwner)}
	revoked = strings.TrimSpace(mustRun(t, env, "keys", "create", "--name", "revoked", "--expires-in", "1d"))
	var listed []struct {
		ID string `json:"_id"`
	}
	if err := json.Unmarshal([]byte(mustRun(t, env, "keys", "list", "--json")), &listed); err != nil || len(listed) != 1 {
		t.Fatalf("%d keys are listed, error %v", len(listed), err)
	}
	mustRun(t, env, "keys", "revoke", "--id", listed[0].ID)
	return s, env, revoked
}

// removeLastPart removes the part of a table that holds what was written last.
func removeLastPart(t *testing.T, table string) {
	t.Helper()
	table, err := filepath.EvalSymlinks(table)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := filepath.Glob(filepath.Join(table, "all_*"))
	if err != nil || len(parts) == 0 {
		t.Fatalf("the table's parts are %v, error %v", parts, err)
	}
	last, newest := "", 0
	for _, part := range parts {
		var from, to, level int
		if _, err := fmt.Sscanf(filepath.Base(part), "all_%d_%d_%d", &from, &to, &level); err == nil && to > newest {
			last, newest = part, to
		}
	}
	if err := os.RemoveAll(last); err != nil {
		t.Fatal(err)
	}
}

// cutParts cuts the data of every part of a table in half.
func cutParts(t *testing.T, table string) {
	t.Helper()
	table, err := filepath.EvalSymlinks(table)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(table, "all_*", "data.bin"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the table's parts are %v, error %v", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, info.Size()/2); err != nil {
			t.Fatal(err)
		}
	}
}
