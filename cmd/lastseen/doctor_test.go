package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lastseen/cmd/lastseen/doctor"
	"lastseen/keys"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// findings are what lastseen doctor finds.
type findings []doctor.Finding

// consult runs lastseen doctor, whose exit code must be 1 where something must be mended.
func consult(t *testing.T, env []string, args ...string) (found findings) {
	t.Helper()
	stdout, stderr, code := command(t, env, append([]string{"doctor", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatalf("doctor says %q and %q: %v", stdout, stderr, err)
	}
	bad := slices.ContainsFunc(found, func(f doctor.Finding) bool { return f.Status == doctor.Fail })
	if code != 0 != bad || strings.Contains(stdout+stderr, "secret") {
		t.Errorf("exit code %d with %+v, %q", code, found, stderr)
	}
	return found
}

// has fails unless there is a finding about a subject of a status that says something, and says what to do where it is bad.
func (f findings) has(t *testing.T, subject string, status doctor.Status, says string) {
	t.Helper()
	for _, finding := range f {
		if finding.Subject == subject && finding.Status == status && strings.Contains(finding.Says, says) && (finding.Mend == "") == (status == doctor.OK) {
			return
		}
	}
	t.Errorf("nothing about %s is %s and says %q in %+v", subject, status, says, f)
}

// without fails where there is a bad finding.
func (f findings) without(t *testing.T, statuses ...doctor.Status) {
	t.Helper()
	for _, finding := range f {
		if slices.Contains(statuses, finding.Status) {
			t.Errorf("found %+v", finding)
		}
	}
}

// adminAddr waits until a service has said where its metrics are.
func (s *storeService) adminAddr(t *testing.T) string {
	t.Helper()
	lines, _ := s.lines.from(0)
	for _, line := range lines {
		if line.Msg == "metrics" {
			return line.Address
		}
	}
	t.Fatal("the service says nothing of its metrics")
	return ""
}

// TestDoctorFindsWhatIsWrongOnAServer makes one trouble after the other.
func TestDoctorFindsWhatIsWrongOnAServer(t *testing.T) {
	t.Parallel()
	requireDoctor(t)
	schematest.OnlyOn(t, schematest.Embedded, "the test starts its own server")
	server := clickhousetest.Start(t, clickhousetest.Options{
		Users: storeUser("secret", "", append(slices.Clone(neededGrants), "SELECT ON system.parts", "SELECT ON system.merge_tree_settings")...), Config: "<merge_tree><parts_to_delay_insert>20</parts_to_delay_insert></merge_tree>",
	})
	address := server.URL("lastseen")
	env := slices.Concat(storeEnv, []string{"LASTSEEN_CLICKHOUSE=" + address, "LASTSEEN_SERVER=http://127.0.0.1:1", "LASTSEEN_ADMIN_ADDR="})
	found := consult(t, env)
	found.has(t, "service", doctor.Fail, "nothing answers")
	found.has(t, "store", doctor.Fail, "has no database lastseen")

	s := startOnStore(t, storeEnv, t.TempDir(), address, "--no-fsync", "--retention", "30d", "--admin-addr", "127.0.0.1:0")
	s.begin(t, "org_doctor")
	env = append(env, "LASTSEEN_SERVER="+s.base, "LASTSEEN_ADMIN_ADDR="+s.adminAddr(t))
	found = consult(t, append(env, "LASTSEEN_TOKEN="+s.token), "--retention", "400d")
	found.without(t, doctor.Fail)
	for _, subject := range []string{"service", "ready", "version", "clock", "store", "schema", "parts", "rights", "token"} {
		found.has(t, subject, doctor.OK, "")
	}
	found.has(t, "writer", doctor.OK, fmt.Sprintf("process %d on", s.process.Process.Pid))
	found.has(t, "fsync", doctor.Warn, "before the disk has them")
	found.has(t, "retention", doctor.Warn, "kept 30 days, and --retention says 400 days")
	found.has(t, "keys", doctor.OK, "device_credential")
	mustRun(t, []string{"LASTSEEN_SERVER=" + s.base, "LASTSEEN_TOKEN=" + s.token}, "keys", "create", "--name", "short-lived", "--expires-in", "1d")
	found = consult(t, append(env, "LASTSEEN_TOKEN="+s.token))
	found.has(t, "key", doctor.Warn, "short-lived")
	found.has(t, "keys", doctor.Warn, "2 of kind api_key")
	found = consult(t, append(env, "LASTSEEN_TOKEN="+s.key))
	found.has(t, "token", doctor.Warn, "could not be listed")

	if err := s.kill(); err != nil {
		t.Fatal(err)
	}
	server.Query(t, "SYSTEM STOP MERGES lastseen.schema_migrations")
	for i := range 22 {
		server.Query(t, "INSERT INTO lastseen.schema_migrations VALUES (1, 'tables', now64(3))")
		if i == 14 {
			found = consult(t, env)
			found.has(t, "parts", doctor.Warn, "past 20")
			found.has(t, "service", doctor.Fail, "nothing answers")
			found.has(t, "writer", doctor.Fail, "does not renew it")
		}
	}
	server.Query(t, "INSERT INTO lastseen.schema_migrations VALUES (99, 'of a newer lastseen', now64(3))")
	found = consult(t, env)
	found.has(t, "parts", doctor.Fail, "past 20")
	found.has(t, "schema", doctor.Fail, "99")

	server.SetUsers(storeUser("secret", "", slices.Concat([]string{strings.Replace(neededGrants[0], ", INSERT", "", 1)}, neededGrants[1:])...))
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	found = consult(t, env)
	found.has(t, "rights", doctor.Fail, "lacks INSERT ON lastseen.*")
	found.has(t, "parts", doctor.Warn, "SELECT ON system.parts") // it may not be known
	found = consult(t, append(env, "LASTSEEN_CLICKHOUSE_PASSWORD=wrong"))
	found.has(t, "store", doctor.Fail, "does not let the user in")
}

// requireDoctor skips what takes some seconds and services unless it is asked for.
func requireDoctor(t *testing.T) {
	t.Helper()
	if os.Getenv("LASTSEEN_TEST_DOCTOR") == "" {
		t.Skip("make test-doctor runs this")
	}
}

func TestDoctorFindsWhatIsWrongOnTheEngine(t *testing.T) {
	t.Parallel()
	requireDoctor(t)
	schematest.OnlyOn(t, schematest.Embedded, "it damages the files of the engine")
	dir := filepath.Join(t.TempDir(), "data")
	s := startForDoctor(t, dir)
	env := []string{"LASTSEEN_DATA_DIR=" + dir, "LASTSEEN_SERVER=" + s.base, "LASTSEEN_ADMIN_ADDR=" + s.adminAddr(t)}
	found := consult(t, env)
	for begun := time.Now(); len(found) < 11 && time.Since(begun) < 20*time.Second; { // until the service has looked at its store
		found = consult(t, env)
	}
	found.without(t, doctor.Fail)
	found.has(t, "store", doctor.OK, "the service holds")
	found.has(t, "fsync", doctor.OK, "on the disk when they are acknowledged")
	if !slices.ContainsFunc(found, func(f doctor.Finding) bool { return strings.Contains(f.Says, "are free") }) {
		t.Errorf("nothing is said of the disk in %+v", found)
	}
	consult(t, append(env, "LASTSEEN_ADMIN_ADDR=127.0.0.1:1")).has(t, "store", doctor.Warn, "only the process that holds it")
	mustRun(t, []string{"LASTSEEN_SERVER=" + s.base, "LASTSEEN_TOKEN=" + s.service.token(t, "org_a", keys.RoleOwner)}, "keys", "create", "--name", "x")
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	found = consult(t, env)
	found.has(t, "service", doctor.Fail, "nothing answers")
	found.has(t, "schema", doctor.OK, "")
	cutParts(t, filepath.Join(dir, "clickhouse", "data", "lastseen", "api_keys"))
	consult(t, env).has(t, "damage", doctor.Fail, "api_keys")
	consult(t, append(env, "LASTSEEN_DATA_DIR="+t.TempDir())).has(t, "store", doctor.Fail, "there is no data")
}

// startForDoctor starts a service on the engine whose log is kept.
func startForDoctor(t *testing.T, dir string) *storeService {
	t.Helper()
	return startOnStore(t, nil, dir, "embedded", "--admin-addr", "127.0.0.1:0")
}
