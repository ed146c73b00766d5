//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema/schematest"
)

// smallDisk makes a command run with a disk of its own, of some megabytes, at a folder. In a name space of its own it may
// mount one without being root.
func smallDisk(command *exec.Cmd, dir string, megabytes int) {
	mount := fmt.Sprintf(`mount -t tmpfs -o size=%dm tmpfs "$0" && exec "$@"`, megabytes)
	command.Args = append([]string{"sh", "-c", mount, dir}, command.Args...)
	command.Path = "/bin/sh"
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
}

// requireSmallDisks skips a test where none can be mounted.
func requireSmallDisks(t *testing.T) {
	t.Helper()
	probe := exec.Command("true")
	smallDisk(probe, t.TempDir(), 1)
	if output, err := probe.CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v %s", err, output)
	}
}

// TestAKeyIsRevokedThoughTheDiskIsCompletelyFull fills the disk to the last byte. Keys of several organisations are revoked at the same
// time then, and a session is made private.
func TestAKeyIsRevokedThoughTheDiskIsCompletelyFull(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the room is kept on the embedded engine's disk")
	requireSmallDisks(t)
	dir := t.TempDir()
	s, lines, err := launchServiceAs(func(process *exec.Cmd) { smallDisk(process, dir, 150) }, dir, "--admin-addr=", "--disk-reserve=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.kill()
		}
	})
	if _, err := s.listening(lines); err != nil {
		t.Fatal(err)
	}
	s.dir = fmt.Sprintf("/proc/%d/root%s", s.process.Process.Pid, dir) // as the service sees it
	token := s.token(t, "org_full", keys.RoleOwner)
	key, id := s.newKey(t, token, "lost")
	status := func(credential string) int {
		t.Helper()
		status, _, err := s.do(t.Context(), http.MethodGet, "/tracking/sessions/list/v1", nil, credential, "")
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	if got := status(key); got != http.StatusOK {
		t.Fatalf("the key is answered %d", got)
	}
	var rights []takenAway
	for i := range 4 {
		other := s.token(t, fmt.Sprint("org_", i), keys.RoleOwner)
		_, id := s.newKey(t, other, "lost")
		rights = append(rights, takenAway{"/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, other, ""})
	}
	rights = append(rights, takenAway{"/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, token, ""})
	update := takenAway{"/tracking/sessions/update/v1", url.Values{"session_id": {s.newSession(t, token, "AA:00:00:00:00:01")}}, token, `{"public":true}`}
	s.takeAway(t, update)
	update.body = `{"public":false}`
	fill := filepath.Join(s.dir, "fill")
	fillDisk(t, fill)
	s.takeAway(t, append(rights, update)...)
	if got := status(key); got != http.StatusUnauthorized {
		t.Errorf("the revoked key is answered %d", got)
	}
	var events struct{ Items []struct{ Action string } }
	s.get(t, "/orgs/api_keys/events/v1", nil, token, &events)
	if len(events.Items) == 0 || events.Items[0].Action != "revoked" {
		t.Errorf("the events are %+v, want the revocation first", events.Items)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	room := filepath.Join(s.dir, "clickhouse", "room-for-revocations")
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(room); err == nil {
			break
		}
		if time.Since(began) > startTimeout {
			t.Fatal("the room is not kept again")
		}
	}
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
}

// takenAway is a request that takes a right away.
type takenAway struct {
	path       string
	parameters url.Values
	token      string
	body       string
}

// takeAway makes requests at the same time, all of which must succeed.
func (s *service) takeAway(t *testing.T, rights ...takenAway) {
	t.Helper()
	var all sync.WaitGroup
	for _, r := range rights {
		all.Go(func() {
			code, answer, err := s.do(t.Context(), http.MethodPost, r.path, r.parameters, r.token, r.body)
			if err != nil || code != http.StatusOK {
				t.Errorf("%s %s is answered %d %s (%v)", r.path, r.body, code, answer, err)
			}
		})
	}
	all.Wait()
}

// fillDisk writes a file until there is no room for another byte.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Skipf("the service's disk cannot be reached from here: %v", err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; {
		_, err := file.Write(make([]byte, size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			t.Fatal(err)
		}
	}
}

// TestAStartWithoutRoomForTheTablesGetsASentence: one line, after which there is nothing that a later start would stumble over.
func TestAStartWithoutRoomForTheTablesGetsASentence(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Embedded, "the disk is the embedded engine's")
	requireSmallDisks(t)
	dir := t.TempDir()
	process := exec.Command(binary, "serve", "--addr=127.0.0.1:0", "--admin-addr=", "--data-dir", dir)
	smallDisk(process, dir, 1)
	output, err := process.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	if last := lines[len(lines)-1]; err == nil || !strings.HasPrefix(last, "lastseen: ") || !strings.Contains(last, "ClickHouse's disk has no room for the tables: make room and start again") {
		t.Errorf("%v: %s", err, output)
	}
}
