package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// serverWithBackups is a server's configuration that lets backups be kept anywhere.
const serverWithBackups = "<backups><allowed_path>/</allowed_path></backups>"

// setBackTrial is a ClickHouse server with a backup that is older than what it has.
type setBackTrial struct {
	server *clickhousetest.Server
	file   string // of the backup
}

func (s *setBackTrial) backUp(t *testing.T) {
	s.file = filepath.Join(t.TempDir(), "backup")
	s.server.Query(t, "BACKUP DATABASE lastseen TO File('"+s.file+"')")
}

func (s *setBackTrial) restore(t *testing.T) {
	s.server.Query(t, "DROP DATABASE lastseen SYNC")
	s.server.Query(t, "RESTORE DATABASE lastseen FROM File('"+s.file+"')")
}

// noticedWithin is how long it takes at most until a process refuses what was set back, on a busy machine.
const noticedWithin = 40 * time.Second

// TestNodesNoticeThatClickHouseIsSetBack restores an older backup under three nodes that go on: a point and a revocation are gone then. One node
// is started at that moment. Every node refuses, or answers what ClickHouse has, and so do all after they were restarted one by one.
func TestNodesNoticeThatClickHouseIsSetBack(t *testing.T) {
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	requireNodes(t)
	k := newNodesTrial(t, nodesOptions{})
	k.begin(1)
	k.goesOn(t)
	trial := &setBackTrial{server: k.servers[0]}
	revoked, id := k.newKey()
	trial.backUp(t)
	before := wireTime(k.tracks[0].floor)
	k.goesOn(t)
	k.change("/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, "", nil)
	late := k.another(k.leader())
	late.signal(syscall.SIGKILL)
	trial.restore(t)
	k.start(late)
	shown := func(n *trialNode, credential string) (int, []byte) {
		return k.ask(n, http.MethodGet, lastSeenPath, url.Values{"session_id": {k.tracks[0].session}}, credential, "")
	}
	for _, n := range k.nodes {
		for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			if status, _ := shown(n, revoked); status == http.StatusOK && n != late { // which may have begun with what ClickHouse has
				t.Fatalf("the node at %s accepts a revoked key", n.base)
			}
			status, answer, setBack := k.readiness(n)
			if setBack {
				k.refusesAll(n)
				break
			}
			if _, answer := shown(n, k.token); n == late && status == http.StatusOK && bytes.Contains(answer, []byte(before)) {
				break // it has
			}
			if time.Since(began) > noticedWithin {
				t.Fatalf("the node at %s has not noticed it after %s: %d %s", n.base, time.Since(began), status, answer)
			}
		}
	}
	for _, n := range k.nodes {
		n.signal(syscall.SIGTERM)
		k.start(n)
		k.awaitReady(n)
		if status, answer := shown(n, k.token); status != http.StatusOK || !bytes.Contains(answer, []byte(before)) {
			t.Errorf("after a restart the node at %s answers %d %s, want what the backup has, %s", n.base, status, answer, before)
		}
	}
	k.goesOn(t)
}

// TestNodesNoticeThatOneShardIsSetBack empties the table of one host of a cluster of two, on which the only points lie.
func TestNodesNoticeThatOneShardIsSetBack(t *testing.T) {
	schematest.OnlyOn(t, schematest.Embedded, "it has servers of its own")
	requireNodes(t)
	k := newNodesTrial(t, nodesOptions{keeper: true, shards: 2})
	k.begin(1)
	k.goesOn(t)
	emptied := 0
	for _, server := range k.servers {
		if server.Query(t, "SELECT count() > 0 FROM lastseen.session_by_device_data_points_local") == "1" {
			server.Query(t, "TRUNCATE TABLE lastseen.session_by_device_data_points_local")
			emptied++
		}
	}
	if emptied != 1 {
		t.Fatalf("the points of one session lie on %d hosts", emptied)
	}
	for _, n := range k.nodes {
		for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			status, answer, setBack := k.readiness(n)
			if setBack {
				k.refusesAll(n)
				break
			}
			if time.Since(began) > noticedWithin {
				t.Fatalf("the node at %s has not noticed it after %s: %d %s", n.base, time.Since(began), status, answer)
			}
		}
	}
}

// readiness is what a node answers on /readyz, and whether it says that ClickHouse was set back.
func (k *nodesTrial) readiness(n *trialNode) (status int, answer []byte, setBack bool) {
	status, answer = k.ask(n, http.MethodGet, "/readyz", nil, "", "")
	return status, answer, status == http.StatusServiceUnavailable && bytes.Contains(answer, []byte("set back to an earlier state"))
}

// refusesAll looks that a node answers nothing any more, and says why to operators.
func (k *nodesTrial) refusesAll(n *trialNode) {
	k.t.Helper()
	for _, of := range []struct{ method, path, body string }{
		{http.MethodGet, lastSeenPath, ""}, {http.MethodGet, "/tracking/sessions/list/v1", ""}, {http.MethodGet, "/orgs/api_keys/list/v1", ""},
		{http.MethodPost, "/tracking/timeseries/session_by_device/ingest/v1", `{"points":[]}`},
	} {
		if status, answer := k.ask(n, of.method, of.path, url.Values{"session_id": {k.tracks[0].session}}, k.token, of.body); status != http.StatusServiceUnavailable {
			k.t.Errorf("the node at %s answers %s with %d %s", n.base, of.path, status, answer)
		}
	}
	if said := strings.Count(n.logged(), "ClickHouse lacks what it had"); said != 1 {
		k.t.Errorf("the log of the node at %s says it %d times, want once", n.base, said)
	}
	stdout, stderr, code := command(k.t, nil, "nodes", "--admin=http://"+n.admin)
	if code != 0 || !strings.Contains(stdout, "ClickHouse was set back to an earlier state; restart all nodes") {
		k.t.Errorf("lastseen nodes: exit code %d, %s%s", code, stdout, stderr)
	}
	response, err := http.Get("http://" + n.admin + "/metrics")
	if err != nil {
		k.t.Fatal(err)
	}
	defer response.Body.Close()
	var metrics bytes.Buffer
	if _, err := metrics.ReadFrom(response.Body); err != nil || !strings.Contains(metrics.String(), "lastseen_store_set_back 1") {
		k.t.Errorf("the metrics of the node at %s do not say it (%v)", n.base, err)
	}
}

// TestANodeAloneNoticesThatClickHouseIsSetBack is the same for a service of one process, which also outlives a server that is killed.
func TestANodeAloneNoticesThatClickHouseIsSetBack(t *testing.T) {
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	requireNodes(t)
	trial := &setBackTrial{server: clickhousetest.Start(t, clickhousetest.Options{Users: storeUser("secret", "", neededGrants...), Config: serverWithBackups})}
	dir := t.TempDir()
	s := startOnStore(t, storeEnv, dir, trial.server.URL("lastseen"), "--admin-addr=")
	s.begin(t, "org_back")
	kept := s.newest()
	trial.backUp(t)
	if status, _ := s.sendPoints(t, 1); status != http.StatusOK {
		t.Fatalf("a point is answered %d", status)
	}
	if err := trial.server.Restart(); err != nil {
		t.Fatal(err)
	}
	s.awaitWrites(t)
	trial.restore(t)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if status, _ := s.lastSeen(t); status == http.StatusServiceUnavailable {
			break
		}
		if time.Since(began) > noticedWithin {
			t.Fatal("it is not noticed")
		}
	}
	if status, _ := s.sendPoints(t, 1); status != http.StatusServiceUnavailable {
		t.Errorf("a point is answered %d", status)
	}
	if err := s.terminate(); err != nil {
		t.Errorf("it does not end well: %v", err)
	}
	again := startOnStore(t, storeEnv, dir, trial.server.URL("lastseen"), "--admin-addr=")
	again.session, again.key = s.session, s.key
	if status, at := again.lastSeen(t); status != http.StatusOK || at != kept {
		t.Errorf("after a restart last_seen is at %d (%d), want what the backup has, %d", at, status, kept)
	}
}

// awaitWrites waits until a point is acknowledged again.
func (s *storeService) awaitWrites(t *testing.T) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		status, _ := s.sendPoints(t, 1)
		if status == http.StatusOK {
			return
		}
		if time.Since(began) > noticedWithin {
			t.Fatal(fmt.Errorf("points are answered %d for %s", status, time.Since(began)))
		}
	}
}
