package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema/schematest"
)

// slowBackup skips a test of backups that is not for every run, or not for this layout.
func slowBackup(t *testing.T) {
	t.Helper()
	if os.Getenv("LASTSEEN_TEST_BACKUP") == "" {
		t.Skip("make test-backup runs it")
	}
	schematest.NotOn(t, schematest.Sharded, "a cluster is backed up by ClickHouse's own means")
}

// storeArgs are the flags of backup and restore for a service's data directory.
func storeArgs(t *testing.T, dir string) []string {
	t.Helper()
	flags, err := schematest.ServeFlags(dir)
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"--data-dir", dir}, flags...)
}

// backUp makes a backup with the command and returns its path.
func backUp(t *testing.T, dir, to string, more ...string) (path string) {
	t.Helper()
	stdout, stderr, code := command(t, []string{"LASTSEEN_BACKUP_PASSPHRASE=" + passphrase}, append(append([]string{"backup", "--to", to}, storeArgs(t, dir)...), more...)...)
	path = strings.TrimSpace(stdout)
	if code != 0 || !strings.HasPrefix(path, to+"/") || !strings.Contains(stderr, "was verified") || strings.Contains(stderr, passphrase) {
		t.Fatalf("backup: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	return path
}

const passphrase = "a passphrase of the test"

// restored restores a backup into a folder of its own and starts a service there.
func restored(t *testing.T, from string) *service {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	stdout, stderr, code := command(t, []string{"LASTSEEN_BACKUP_PASSPHRASE=" + passphrase}, append([]string{"restore", "--from", from}, storeArgs(t, dir)...)...)
	if code != 0 || !strings.HasPrefix(stdout, "restored the backup "+filepath.Base(from)) {
		t.Fatalf("restore: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	return begun(t, dir)
}

// begun starts a service that is killed at the end, unless it has ended.
func begun(t *testing.T, dir string) *service {
	t.Helper()
	s, err := startService(dir, "--admin-addr=")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.kill()
		}
	})
	return s
}

// load is writers of sessions: point n of each is n seconds after a common beginning.
type load struct {
	*service
	token    string
	began    int64
	sessions []string
	sent     []atomic.Int64 // how many points were
	acked    []atomic.Int64 // how many points of those were acknowledged
	writing  sync.WaitGroup
	stopped  atomic.Bool
}

func newLoad(t *testing.T, s *service) *load {
	t.Helper()
	l := &load{service: s, token: s.token(t, "org_load", keys.RoleOwner), began: time.Now().Add(-30 * 24 * time.Hour).UnixMilli()}
	for i := range 3 {
		l.sessions = append(l.sessions, l.newSession(t, l.token, fmt.Sprintf("load-%d", i)))
	}
	l.sent, l.acked = make([]atomic.Int64, len(l.sessions)), make([]atomic.Int64, len(l.sessions))
	return l
}

// run writes on in each session until stop, or until the service is gone.
func (l *load) run() {
	l.stopped.Store(false)
	for i := range l.sessions {
		l.writing.Go(func() {
			for !l.stopped.Load() && l.send(i) {
			}
		})
	}
}

func (l *load) stop() {
	l.stopped.Store(true)
	l.writing.Wait()
}

// send sends the next points of a session, or those again that got no answer.
func (l *load) send(i int) bool {
	var text strings.Builder
	from := l.acked[i].Load()
	for n := from; n < from+5; n++ {
		at := l.began + n*1000
		latitude, longitude := valuesAt(at)
		fmt.Fprintf(&text, `,{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":%v}`, l.sessions[i], wireTime(at), latitude, longitude)
	}
	l.sent[i].Store(from + 5)
	status, _, err := l.do(context.Background(), http.MethodPost, "/tracking/timeseries/session_by_device/ingest/v1", nil, l.token, `{"points":[`+text.String()[1:]+`]}`)
	if err != nil || status != http.StatusOK {
		return false
	}
	l.acked[i].Store(from + 5)
	return true
}

// acknowledged is how many points of each session were, at some moment after the call has begun and before it returns.
func (l *load) acknowledged() (points []int64) {
	for i := range l.acked {
		points = append(points, l.acked[i].Load())
	}
	return points
}

// await waits until every session has so many more points.
func (l *load) await(t *testing.T, more int64) {
	t.Helper()
	from := l.acknowledged()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		enough := true
		for i, points := range l.acknowledged() {
			enough = enough && points >= from[i]+more
		}
		if enough {
			return
		}
		if time.Since(began) > startTimeout {
			t.Fatal("the writers are not acknowledged")
		}
	}
}

// check holds what a service has against what was sent and what was acknowledged at least: of each session the first points, each
// once, without a gap, and last_seen shows the newest of them.
func (l *load) check(t *testing.T, s *service, least []int64) {
	t.Helper()
	for i, session := range l.sessions {
		var got wireHistory
		s.get(t, "/tracking/timeseries/session_by_device/data_points/v1", url.Values{
			"session_id": {session}, "start_timestamp": {"2000-01-01T00:00:00Z"}, "end_timestamp": {"2100-01-01T00:00:00Z"},
		}, l.token, &got)
		for n, p := range got.Points {
			if at := p.Timestamp.UnixMilli(); at != l.began+int64(n)*1000 {
				t.Fatalf("%s: point %d is at %d, want %d", session, n, at, l.began+int64(n)*1000)
			}
		}
		n := int64(len(got.Points))
		if n < least[i] || n > l.sent[i].Load() {
			t.Errorf("%s has %d points: %d were acknowledged before, %d were sent", session, n, least[i], l.sent[i].Load())
		}
		var last *dataPoint
		s.get(t, lastSeenPath, url.Values{"session_id": {session}}, l.token, &last)
		if n > 0 && (last == nil || last.Timestamp.UnixMilli() != l.began+(n-1)*1000) {
			t.Errorf("%s: last seen at %+v, the newest point is %d", session, last, n-1)
		}
	}
}

// TestABackupUnderLoadHasWhatWasAcknowledged: before each command began; a whole one and two incremental ones.
func TestABackupUnderLoadHasWhatWasAcknowledged(t *testing.T) {
	slowBackup(t)
	t.Parallel()
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "backups")
	s := begun(t, dir)
	l := newLoad(t, s)
	l.run()
	least := map[string][]int64{}
	for round := range 3 {
		l.await(t, 20)
		before := l.acknowledged()
		more := []string{"--keys", "encrypted"}
		if round > 0 {
			more = append(more, "--incremental")
		}
		least[backUp(t, dir, to, more...)] = before
	}
	l.stop()
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
	for path, before := range least {
		r := restored(t, path)
		l.check(t, r, before)
		if err := r.terminate(); err != nil {
			t.Error(err)
		}
	}
}

// TestABackupThatIsCutShortCountsForNothing: kill -9 of the service, or of the command, at a random moment of a backup under load.
func TestABackupThatIsCutShortCountsForNothing(t *testing.T) {
	slowBackup(t)
	t.Parallel()
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "backups")
	s := begun(t, dir)
	l := newLoad(t, s)
	for round := range 6 {
		l.run()
		l.await(t, 10)
		backup := exec.Command(binary, append([]string{"backup", "--to", to}, storeArgs(t, dir)...)...)
		backup.Dir = t.TempDir()
		if err := backup.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(800 * time.Millisecond)) // the moment is what is tried
		victim := backup.Process
		if round%2 == 0 {
			victim = s.process.Process
		}
		_ = victim.Kill()
		if round%2 == 0 {
			s.kill()
		}
		_ = backup.Wait()
		l.stop()
		if round%2 == 0 {
			s = begun(t, dir)
			l.service = s
		}
		l.check(t, s, l.acknowledged())
	}
	before := l.acknowledged()
	whole := backUp(t, dir, to, "--keys", "encrypted")
	cut := 0
	names, err := os.ReadDir(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(to, name.Name(), "manifest.json")); err == nil {
			continue
		}
		cut++
		target := t.TempDir()
		_, stderr, code := command(t, nil, append([]string{"restore", "--from", filepath.Join(to, name.Name())}, storeArgs(t, target)...)...)
		if left, _ := os.ReadDir(target); code != 1 || !strings.Contains(stderr, "no whole backup") || len(left) > 0 {
			t.Errorf("a backup that was cut short: exit code %d, %q, %v", code, stderr, left)
		}
	}
	t.Logf("%d backups of 6 were cut short so that something is left of them", cut)
	l.check(t, restored(t, whole), before)
}

// TestARestoreThatIsCutShortIsRefused: kill -9 at a random moment of a restore.
func TestARestoreThatIsCutShortIsRefused(t *testing.T) {
	slowBackup(t)
	t.Parallel()
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "backups")
	s := begun(t, dir)
	l := newLoad(t, s)
	l.run()
	l.await(t, 50)
	l.stop()
	path := backUp(t, dir, to, "--keys", "plain")
	cut := 0
	for range 8 {
		target := filepath.Join(t.TempDir(), "target")
		restore := exec.Command(binary, append([]string{"restore", "--from", path}, storeArgs(t, target)...)...)
		restore.Dir = t.TempDir()
		if err := restore.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(1500 * time.Millisecond)) // the moment is what is tried
		_ = restore.Process.Kill()
		if restore.Wait() == nil {
			continue // it was whole before
		}
		if left, err := os.ReadDir(target); err != nil || len(left) == 0 {
			continue // it had not begun
		}
		cut++
		if _, err := startService(target, "--admin-addr="); err == nil || !strings.Contains(err.Error(), "was cut short, so that it has only a part of the backup: delete the directory") {
			t.Errorf("a start after a restore that was cut short: %v", err)
		}
		_, stderr, code := command(t, nil, append([]string{"restore", "--from", path}, storeArgs(t, target)...)...)
		if code != 1 || !strings.Contains(stderr, "is not empty") {
			t.Errorf("a restore over one that was cut short: exit code %d, %q", code, stderr)
		}
	}
	t.Logf("%d restores of 8 were cut short", cut)
	l.check(t, restored(t, path), l.acknowledged())
}

// TestARestoredServiceAnswersAsTheOriginalDid: every route that reads, for everybody who may and may not.
func TestARestoredServiceAnswersAsTheOriginalDid(t *testing.T) {
	slowBackup(t)
	t.Parallel()
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "backups")
	s := begun(t, dir)
	w := newBackedUpWorld(t, s)
	path := backUp(t, dir, to, "--keys", "encrypted")
	before := w.answers(t, s)
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
	after := w.answers(t, restored(t, path))
	for _, request := range slices.Sorted(maps.Keys(before)) {
		if before[request] != after[request] {
			t.Errorf("%s is answered\n%.400s\nand was\n%.400s", request, after[request], before[request])
		}
	}
	if len(before) < 60 {
		t.Errorf("only %d requests are compared", len(before))
	}
}

// backedUpWorld is an organisation with all that there is, and another one that sees a part of it.
type backedUpWorld struct {
	credentials map[string]string
	sessions    []string
	paths       []string
}

func newBackedUpWorld(t *testing.T, s *service) *backedUpWorld {
	t.Helper()
	w := &backedUpWorld{credentials: map[string]string{
		"owner": s.token(t, "org_world", keys.RoleOwner), "driver": s.token(t, "org_world", keys.RoleDriver), "other": s.token(t, "org_other", keys.RoleOwner), "nobody": "",
	}}
	owner := w.credentials["owner"]
	key, _ := s.newKey(t, owner, "good")
	revoked, id := s.newKey(t, owner, "revoked")
	var ignored json.RawMessage
	s.post(t, "/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, owner, "", &ignored)
	w.credentials["key"], w.credentials["revoked key"] = key, revoked
	began := time.Now().Add(-24 * time.Hour).UnixMilli()
	for i := range 4 {
		session := s.newSession(t, owner, fmt.Sprintf("world-%d", i))
		w.sessions = append(w.sessions, session)
		var points strings.Builder
		for n := range 50 {
			fmt.Fprintf(&points, `,{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":10}`, session, wireTime(began+int64(n)*60_000), 50+float64(n)/1000)
		}
		s.post(t, "/tracking/timeseries/session_by_device/ingest/v1", nil, owner, `{"points":[`+points.String()[1:]+`]}`, &ignored)
	}
	newest := fmt.Sprintf("%s.%d", w.sessions[0], began+49*60_000)
	s.post(t, "/tracking/timeseries/session_by_device/outlier/v1", nil, owner, `{"outlier":true,"tracking_session_by_device_data_point_ids":["`+newest+`"]}`, &ignored)
	s.post(t, "/tracking/sessions/update_shared_orgs/v1", nil, owner, `{"session_id":"`+w.sessions[1]+`","add_org_ids":["org_other"]}`, &ignored)
	s.post(t, "/tracking/sessions/update/v1", url.Values{"session_id": {w.sessions[2]}}, owner, `{"public":true,"comments":"of the world"}`, &ignored)
	s.post(t, "/tracking/sessions/terminate/v1", url.Values{"session_id": {w.sessions[3]}}, owner, "", &ignored)
	const series = "/tracking/timeseries/session_by_device/"
	w.paths = []string{
		"/tracking/sessions/list/v1?", "/tracking/sessions/list/v1?filter_terminated=true", "/tracking/sessions/typeahead/v1?query=world",
		"/orgs/api_keys/list/v1?", "/orgs/device_credentials/list/v1?", series + "last_seen_changes/v1?",
	}
	for _, session := range w.sessions {
		ranges := "session_id=" + session + "&start_timestamp=2000-01-01T00:00:00Z&end_timestamp=2100-01-01T00:00:00Z"
		w.paths = append(w.paths, series+"last_seen/v1?session_id="+session, "/tracking/sessions/get/v1?session_id="+session, series+"data_points/v1?"+ranges,
			series+"data_points/v1?format=csv&"+ranges, series+"last_seen_public/v1?session_id="+session, series+"data_points_public/v1?"+ranges)
	}
	return w
}

// passing is what differs from one answer to the next.
var passing = regexp.MustCompile(`"(next_cursor|cursor|request_id|last_used_at_timestamp)":"?[^",}]*"?`)

// ordered is an answer of last_seen_changes with its points in an order of their own: theirs is that of the changes since the start.
func ordered(t *testing.T, body []byte) string {
	t.Helper()
	var answer map[string]json.RawMessage
	var points []json.RawMessage
	if err := errors.Join(json.Unmarshal(body, &answer), json.Unmarshal(answer["data_points"], &points)); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	slices.SortFunc(points, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	delete(answer, "data_points")
	delete(answer, "next_cursor")
	return fmt.Sprintf("%s %s", answer, points)
}

// answers are those of a service, by the request.
func (w *backedUpWorld) answers(t *testing.T, s *service) map[string]string {
	t.Helper()
	all := map[string]string{}
	for who, credential := range w.credentials {
		for _, path := range w.paths {
			path, query, _ := strings.Cut(path, "?")
			values, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			status, body, err := s.do(t.Context(), http.MethodGet, path, values, credential, "")
			if err != nil {
				t.Fatal(err)
			}
			text := string(body)
			if strings.HasSuffix(path, "/last_seen_changes/v1") && status == http.StatusOK {
				text = ordered(t, body)
			}
			all[who+" "+path+" "+query] = fmt.Sprint(status, " ", passing.ReplaceAllString(text, ""))
		}
	}
	return all
}
