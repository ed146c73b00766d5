package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// nodesTrial is a service of three nodes, real processes on one ClickHouse server, with clients on each who know what they may not be
// answered.
type nodesTrial struct {
	t      *testing.T
	flags  []string
	nodes  []*trialNode
	tracks []*track
	token  string
	key    string

	acknowledged, polls, refused, revoked atomic.Int64
	longest                               atomic.Int64 // between two acknowledgements, nanoseconds
}

// nodesGrants are the rights that docs/nodes.md says several nodes need besides.
var nodesGrants = []string{"CREATE VIEW, DROP TABLE, DROP VIEW ON lastseen.*", "TABLE ENGINE ON Null", "TABLE ENGINE ON Memory"}

// trialNode is one node, whose process may be gone.
type trialNode struct {
	dir, peer, base string
	mu              sync.Mutex
	process         *exec.Cmd
	log             *os.File
}

// track is a session, and the least that each poll of it must return.
type track struct {
	session string
	mu      sync.Mutex
	floor   int64          // the newest time that was acknowledged or returned, Unix milliseconds
	sent    map[int64]bool // and whether it was acknowledged
}

func (k *track) least() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.floor
}

func (k *track) raise(to int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.floor = max(k.floor, to)
}

func newNodesTrial(t *testing.T) *nodesTrial {
	t.Helper()
	server := clickhousetest.Start(t, clickhousetest.Options{Users: storeUser("secret", "", append(neededGrants, nodesGrants...)...)})
	trial := &nodesTrial{t: t, flags: []string{"--clickhouse", server.URL("lastseen"), "--admin-addr", "", "--no-fsync"}}
	dir := t.TempDir()
	for i := range 3 {
		n := &trialNode{dir: filepath.Join(dir, strconv.Itoa(i)), peer: freeAddress(t), base: "http://" + freeAddress(t)}
		if err := os.MkdirAll(n.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		trial.nodes = append(trial.nodes, n)
	}
	trial.shareIssuer()
	var err error
	for i, n := range trial.nodes {
		if n.log, err = os.Create(filepath.Join(dir, fmt.Sprint(i, ".log"))); err != nil {
			t.Fatal(err)
		}
		trial.start(n)
	}
	t.Cleanup(trial.end)
	for _, n := range trial.nodes {
		trial.awaitReady(n)
	}
	return trial
}

// freeAddress is one of the loopback's on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// shareIssuer gives all nodes one issuer, and makes a token of it.
func (k *nodesTrial) shareIssuer() {
	issuer, err := people.OpenIssuer(k.nodes[0].dir, time.Now)
	if err != nil {
		k.t.Fatal(err)
	}
	if k.token, err = issuer.Sign(people.User{ID: "user_test", OrgID: "org_nodes", Role: keys.RoleOwner}, 6*time.Hour); err != nil {
		k.t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(k.nodes[0].dir, people.IssuerFile))
	for _, n := range k.nodes[1:] {
		if err == nil {
			err = os.WriteFile(filepath.Join(n.dir, people.IssuerFile), key, 0o600)
		}
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *nodesTrial) start(n *trialNode) {
	k.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process = exec.Command(binary, append([]string{"serve", "--data-dir", n.dir, "--addr", strings.TrimPrefix(n.base, "http://"), "--peer-addr", n.peer}, k.flags...)...)
	n.process.Stderr, n.process.Env = n.log, append(os.Environ(), storeEnv...)
	if err := n.process.Start(); err != nil {
		k.t.Fatal(err)
	}
}

// signal sends one, and waits for the end where it ends the process.
func (n *trialNode) signal(signal syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_ = n.process.Process.Signal(signal)
	if signal == syscall.SIGKILL || signal == syscall.SIGTERM {
		_ = n.process.Wait()
	}
}

func (k *nodesTrial) end() {
	for i, n := range k.nodes {
		n.signal(syscall.SIGKILL)
		if k.t.Failed() || os.Getenv("LASTSEEN_NODE_LOGS") != "" {
			text, _ := os.ReadFile(n.log.Name())
			k.t.Logf("node %d at %s:\n%s", i, n.peer, text)
		}
		n.log.Close()
	}
}

func (k *nodesTrial) awaitReady(n *trialNode) time.Duration {
	k.t.Helper()
	began := time.Now()
	for {
		if status, _ := k.ask(n, http.MethodGet, "/readyz", nil, "", ""); status == http.StatusOK {
			return time.Since(began)
		}
		if time.Since(began) > time.Minute {
			k.t.Fatalf("the node at %s is not ready after a minute", n.base)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ask makes a request and returns its status, 0 for none.
func (k *nodesTrial) ask(n *trialNode, method, path string, query url.Values, credential, body string) (status int, answer []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, n.base+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		k.t.Error(err)
		return 0, nil
	}
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := requests.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode, answer
}

// change makes a request that changes something, on any node, until it is answered.
func (k *nodesTrial) change(path string, query url.Values, body string, into any) bool {
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(50 * time.Millisecond) {
		n := k.nodes[rand.IntN(len(k.nodes))]
		status, answer := k.ask(n, http.MethodPost, path, query, k.token, body)
		switch {
		case status/100 == 2:
			if err := json.Unmarshal(answer, into); err != nil && into != nil {
				k.t.Errorf("%s: %v in %s", path, err, answer)
			}
			return true
		case status != 0 && status != http.StatusServiceUnavailable:
			k.t.Errorf("POST %s %v is answered %d %s", path, query, status, answer)
			return false
		}
	}
	k.t.Errorf("POST %s is not answered for a minute", path)
	return false
}

// begin makes sessions and a key.
func (k *nodesTrial) begin(sessions int) {
	for i := range sessions {
		var device, session string
		k.change("/tracking/devices/register_to_org/v1", nil, fmt.Sprintf(`{"device_mac_address":"00:00:00:00:01:%02x","schema_version":1}`, i), &device)
		k.change("/tracking/sessions/create_session/v1", url.Values{"device_id": {device}}, `{"schema_version":1}`, &session)
		k.tracks = append(k.tracks, &track{session: session, sent: map[int64]bool{}})
	}
	k.key, _ = k.newKey()
}

func (k *nodesTrial) newKey() (key, id string) {
	var record struct {
		ID  string `json:"_id"`
		Key string `json:"key"`
	}
	k.change("/orgs/api_keys/create/v1", nil, fmt.Sprintf(`{"name":"reader","expires_at_timestamp":%q}`, time.Now().Add(6*time.Hour).UTC().Format(time.RFC3339)), &record)
	return record.Key, record.ID
}

// write sends points of a session, one after the other, until ctx ends.
func (k *nodesTrial) write(ctx context.Context, of *track, last *atomic.Int64) {
	for at := time.Now().Add(-24 * time.Hour).UnixMilli(); ctx.Err() == nil; at += 1000 {
		latitude, longitude := valuesAt(at)
		of.mu.Lock()
		of.sent[at] = false
		of.mu.Unlock()
		status, answer := k.ask(k.nodes[rand.IntN(3)], http.MethodPost, "/tracking/timeseries/session_by_device/ingest/v1", nil, k.token,
			fmt.Sprintf(`{"points":[{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":%v}]}`, of.session, wireTime(at), latitude, longitude))
		switch status {
		case http.StatusOK:
			of.mu.Lock()
			of.sent[at] = true
			of.floor = max(of.floor, at)
			of.mu.Unlock()
			k.acknowledged.Add(1)
			now := time.Now().UnixNano()
			if gap := now - last.Swap(now); gap > k.longest.Load() {
				k.longest.Store(gap)
			}
		case 0, http.StatusServiceUnavailable:
			time.Sleep(50 * time.Millisecond)
		default:
			k.t.Errorf("a point is answered %d %s", status, answer)
		}
	}
}

// poll polls sessions until ctx ends: each answer must be as new as everything that was known before it was asked for.
func (k *nodesTrial) poll(ctx context.Context, n *trialNode) {
	for ctx.Err() == nil {
		of := k.tracks[rand.IntN(len(k.tracks))]
		floor := of.least()
		status, answer := k.ask(n, http.MethodGet, lastSeenPath, url.Values{"session_id": {of.session}}, k.key, "")
		switch status {
		case http.StatusOK:
			var point *dataPoint
			if err := json.Unmarshal(answer, &point); err != nil {
				k.t.Errorf("last_seen: %v in %s", err, answer)
			}
			at := int64(0)
			if point != nil {
				at = point.Timestamp.UnixMilli()
			}
			if at < floor {
				k.t.Errorf("the node at %s answers %s, and %s was known before it was asked", n.base, wireTime(at), wireTime(floor))
			}
			of.raise(at)
			k.polls.Add(1)
		case 0, http.StatusServiceUnavailable:
			k.refused.Add(1)
			time.Sleep(20 * time.Millisecond)
		default:
			k.t.Errorf("a poll is answered %d %s", status, answer)
		}
	}
}

// revoke makes and revokes keys until ctx ends: when that is acknowledged no node may accept the key.
func (k *nodesTrial) revoke(ctx context.Context) {
	for ctx.Err() == nil {
		key, id := k.newKey()
		query := url.Values{"session_id": {k.tracks[0].session}}
		for _, n := range k.nodes {
			k.ask(n, http.MethodGet, lastSeenPath, query, key, "") // so that each knows it
		}
		if !k.change("/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, "", nil) {
			return
		}
		for _, n := range k.nodes {
			if status, answer := k.ask(n, http.MethodGet, lastSeenPath, query, key, ""); status == http.StatusOK {
				k.t.Errorf("after its revocation the node at %s accepts a key: %s", n.base, answer)
			}
		}
		k.revoked.Add(1)
	}
}

// create has two begin a session of one device at the same time until ctx ends: one may.
func (k *nodesTrial) create(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		var device string
		if !k.change("/tracking/devices/register_to_org/v1", nil, fmt.Sprintf(`{"device_mac_address":"00:00:00:01:%02x:%02x","schema_version":1}`, i>>8, i&255), &device) {
			return
		}
		var made atomic.Int64
		var racing sync.WaitGroup
		for range 2 {
			racing.Go(func() {
				status, _ := k.ask(k.nodes[rand.IntN(3)], http.MethodPost, "/tracking/sessions/create_session/v1", url.Values{"device_id": {device}}, k.token, `{"schema_version":1}`)
				if status/100 == 2 {
					made.Add(1)
				}
			})
		}
		racing.Wait()
		if made.Load() > 1 {
			k.t.Errorf("%d sessions of one device are active", made.Load())
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// fault does something to a node, and returns when the node is ready again.
func (k *nodesTrial) fault(cycle int) {
	n := k.nodes[rand.IntN(len(k.nodes))]
	what := "killed"
	switch rand.IntN(4) {
	case 0:
		what = "stopped and resumed"
		n.signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(1+rand.IntN(5)) * time.Second)
		n.signal(syscall.SIGCONT)
	case 1:
		what = "restarted"
		n.signal(syscall.SIGTERM)
		k.start(n)
	default:
		n.signal(syscall.SIGKILL)
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
		k.start(n)
	}
	k.t.Logf("cycle %d: the node at %s was %s and is ready after %s", cycle, n.base, what, k.awaitReady(n).Round(time.Millisecond))
}

// check holds the history, as every node tells it, against what was acknowledged.
func (k *nodesTrial) check() {
	for _, n := range k.nodes {
		for _, of := range k.tracks {
			status, answer := k.ask(n, http.MethodGet, "/tracking/timeseries/session_by_device/data_points/v1", url.Values{
				"session_id": {of.session}, "start_timestamp": {"2000-01-01T00:00:00Z"}, "end_timestamp": {"2100-01-01T00:00:00Z"},
			}, k.key, "")
			var got wireHistory
			if err := json.Unmarshal(answer, &got); err != nil || status != http.StatusOK {
				k.t.Fatalf("the history is answered %d: %v", status, err)
			}
			times := map[int64]int{}
			for _, p := range got.Points {
				times[p.Timestamp.UnixMilli()]++
			}
			for at, acknowledged := range of.sent {
				if acknowledged && times[at] != 1 {
					k.t.Errorf("on the node at %s the acknowledged point at %s is there %d times", n.base, wireTime(at), times[at])
				}
			}
			for at, count := range times {
				if _, sent := of.sent[at]; !sent || count > 1 {
					k.t.Errorf("on the node at %s the point at %s is there %d times, sent %t", n.base, wireTime(at), count, sent)
				}
			}
		}
	}
}

// nodeCycles is how many faults there are to be.
func nodeCycles(t *testing.T) int {
	text := os.Getenv("LASTSEEN_NODE_CYCLES")
	cycles, err := strconv.Atoi(text)
	if err != nil {
		t.Skip("it takes minutes: make cycles-nodes")
	}
	return cycles
}

// TestNoNodeBreaksAPromise has clients on every node while nodes are killed, stopped and restarted.
func TestNoNodeBreaksAPromise(t *testing.T) {
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	cycles := nodeCycles(t)
	k := newNodesTrial(t)
	k.begin(4)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	for _, of := range k.tracks {
		clients.Go(func() { k.write(ctx, of, &last) })
	}
	for _, n := range k.nodes {
		clients.Go(func() { k.poll(ctx, n) })
	}
	clients.Go(func() { k.revoke(ctx) })
	clients.Go(func() { k.create(ctx) })
	for cycle := 0; cycle < cycles && !t.Failed(); cycle++ {
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
		k.fault(cycle)
	}
	stop()
	clients.Wait()
	k.check()
	t.Logf("%d faults: %d points acknowledged, %d polls answered and %d refused, %d keys revoked; the longest time between two acknowledgements was %s",
		cycles, k.acknowledged.Load(), k.polls.Load(), k.refused.Load(), k.revoked.Load(), time.Duration(k.longest.Load()).Round(time.Millisecond))
}
