package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
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
	"lastseen/server/cluster/replica"
)

// nodesTrial is a service of three nodes, real processes on a real ClickHouse, with clients on each who know what they may not be
// answered.
type nodesTrial struct {
	t       *testing.T
	flags   []string
	servers []*clickhousetest.Server
	network *nodesNetwork
	nodes   []*trialNode
	tracks  []*track
	token   string
	key     string
	lives   lives
	long    bool   // there is time for faults of up to 30 s
	binary  string // whose processes the nodes are

	acknowledged, polls, refused, revoked atomic.Int64
	longest                               atomic.Int64 // between two acknowledgements, nanoseconds
}

// nodesGrants are the rights that docs/nodes.md says several nodes need besides.
var nodesGrants = []string{"CREATE VIEW, DROP TABLE, DROP VIEW ON lastseen.*", "TABLE ENGINE ON Null", "TABLE ENGINE ON Memory"}

// trialNode is one node, whose process may be gone.
type trialNode struct {
	number           int
	dir, base, admin string
	peer, listen     string // where others reach it, and where it listens for what reaches it
	mu               sync.Mutex
	process          *exec.Cmd
	ended            bool // process
	log              *os.File
	clock            *wallClock // nil where it is the machine's
}

// nodesOptions say what a trial is like. The zero value is one server that has the register too.
type nodesOptions struct {
	keeper bool // a ZooKeeper has the register
	shards int  // of a ClickHouse cluster; 0 for one server
	clocks bool // each node has a wall clock of its own, which jumps
}

// nodesOptionsOf is what the environment asks for by LASTSEEN_NODE_KEEPER, LASTSEEN_NODE_SHARDS and LASTSEEN_NODE_CLOCKS.
func nodesOptionsOf(t *testing.T) nodesOptions {
	shards, err := strconv.Atoi(os.Getenv("LASTSEEN_NODE_SHARDS"))
	if err != nil && os.Getenv("LASTSEEN_NODE_SHARDS") != "" {
		t.Fatal(err)
	}
	return nodesOptions{keeper: shards > 0 || os.Getenv("LASTSEEN_NODE_KEEPER") != "", shards: shards, clocks: os.Getenv("LASTSEEN_NODE_CLOCKS") != ""}
}

func newNodesTrial(t *testing.T, options nodesOptions) *nodesTrial {
	t.Helper()
	k := prepareNodes(t, options)
	for _, n := range k.nodes {
		k.start(n)
	}
	for _, n := range k.nodes {
		k.awaitReady(n)
	}
	return k
}

// prepareNodes makes all but the processes of the nodes.
func prepareNodes(t *testing.T, options nodesOptions) *nodesTrial {
	t.Helper()
	k := &nodesTrial{t: t, flags: []string{"--no-fsync"}, binary: binary}
	if options.clocks {
		k.binary = buildWithJumpingClock(t)
	}
	server := clickhousetest.Options{Users: storeUser("secret", "", append(neededGrants, nodesGrants...)...), Config: serverWithBackups}
	var keeper *clickhousetest.Keeper
	if options.keeper {
		keeper = clickhousetest.StartKeeper(t)
	}
	if options.shards > 0 {
		server.Users = storeUser("secret", "", "ALL ON *.*") // those that do on one server are tried there
		k.servers = clickhousetest.StartCluster(t, "fleet", options.shards, server)
		k.flags = append(k.flags, "--cluster=fleet", "--replicated=false")
	} else {
		k.servers = []*clickhousetest.Server{clickhousetest.Start(t, server)}
	}
	dir := t.TempDir()
	var err error
	for i := range 3 {
		n := &trialNode{number: i, dir: filepath.Join(dir, strconv.Itoa(i)), base: "http://" + clickhousetest.FreeAddress(t), admin: clickhousetest.FreeAddress(t)}
		if err := os.MkdirAll(n.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if n.log, err = os.Create(filepath.Join(dir, fmt.Sprint(i, ".log"))); err != nil {
			t.Fatal(err)
		}
		if options.clocks {
			n.clock = newWallClock(t, n.dir)
		}
		k.nodes = append(k.nodes, n)
	}
	k.network = newNodesNetwork(t, k.nodes, k.servers, keeper)
	k.shareIssuer()
	t.Cleanup(k.end)
	return k
}

// shareIssuer gives all nodes one issuer, and makes a token of it, which is good on nodes too whose clocks are back.
func (k *nodesTrial) shareIssuer() {
	issuer, err := people.OpenIssuer(k.nodes[0].dir, func() time.Time { return time.Now().Add(-longestJump - time.Minute) })
	if err != nil {
		k.t.Fatal(err)
	}
	if k.token, err = issuer.Sign(people.User{ID: "user_test", OrgID: "org_nodes", Role: keys.RoleOwner}, 12*time.Hour); err != nil {
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

// start starts a node's process, with more flags.
func (k *nodesTrial) start(n *trialNode, flags ...string) {
	k.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	arguments := []string{"serve", "--data-dir", n.dir, "--addr", strings.TrimPrefix(n.base, "http://"), "--admin-addr", n.admin,
		"--peer-addr", n.peer, "--peer-listen", n.listen, "--clickhouse", k.network.storeAddress(n.number, "lastseen")}
	if k.network.register != nil {
		arguments = append(arguments, "--keeper", k.network.register[n.number].Address())
	}
	n.ended = false
	n.process = exec.Command(k.binary, append(append(arguments, k.flags...), flags...)...)
	n.process.Stderr, n.process.Env = n.log, append(os.Environ(), storeEnv...)
	if n.clock != nil {
		n.process.Env = append(n.process.Env, n.clock.env())
	}
	if err := n.process.Start(); err != nil {
		k.t.Fatal(err)
	}
}

// pid is that of the node's process; 0 for none.
func (n *trialNode) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil || n.ended {
		return 0
	}
	return n.process.Process.Pid
}

// requireNodes skips what takes long with several nodes unless it is asked for.
func requireNodes(t *testing.T) {
	t.Helper()
	if os.Getenv("LASTSEEN_TEST_NODES") == "" {
		t.Skip("make test-nodes")
	}
}

// signal sends one, and waits for the end where it ends the process.
func (n *trialNode) signal(signal syscall.Signal) {
	n.mu.Lock()
	process := n.process
	n.mu.Unlock()
	if process == nil {
		return
	}
	_ = process.Process.Signal(signal)
	if signal == syscall.SIGKILL || signal == syscall.SIGTERM {
		_ = process.Wait()
		n.mu.Lock()
		n.ended = n.ended || n.process == process
		n.mu.Unlock()
	}
}

func (k *nodesTrial) end() {
	for i, n := range k.nodes {
		n.signal(syscall.SIGKILL)
		if strings.Contains(n.logged(), "WARNING: DATA RACE") { // which ends no process by itself
			k.t.Errorf("the race detector has found something in node %d", i)
		}
		if k.t.Failed() || os.Getenv("LASTSEEN_NODE_LOGS") != "" {
			k.t.Logf("node %d at %s:\n%s", i, n.peer, n.logged())
		}
		n.log.Close()
	}
}

// logged is what the node has logged so far.
func (n *trialNode) logged() string {
	text, _ := os.ReadFile(n.log.Name()) // which is there
	return string(text)
}

// readyWithin is how long a node takes at most until it serves: one that finds nobody waits for a minute and some seconds.
const readyWithin = 100 * time.Second

func (k *nodesTrial) awaitReady(n *trialNode) time.Duration {
	k.t.Helper()
	began := time.Now()
	for {
		status, answer := k.ask(n, http.MethodGet, "/readyz", nil, "", "")
		if status == http.StatusOK {
			return time.Since(began)
		}
		if time.Since(began) > readyWithin {
			k.t.Fatalf("the node at %s is not ready after %s: %d %s", n.base, readyWithin, status, answer)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// status is what a node says of itself to operators; false where it does not answer.
func (n *trialNode) status() (status replica.Status, answered bool) {
	client := &http.Client{Timeout: time.Second}
	response, err := client.Get("http://" + n.admin + "/nodes")
	if err != nil {
		return status, false
	}
	defer response.Body.Close()
	return status, json.NewDecoder(response.Body).Decode(&status) == nil
}

// leader is the node that leads; any one where none does.
func (k *nodesTrial) leader() *trialNode {
	for _, n := range k.nodes {
		if status, answered := n.status(); answered && status.Role == replica.Leading {
			return n
		}
	}
	return k.nodes[rand.IntN(len(k.nodes))]
}

// aNode is any node.
func (k *nodesTrial) aNode() *trialNode { return k.nodes[rand.IntN(len(k.nodes))] }

// ask makes a request and returns its status, 0 for none.
func (k *nodesTrial) ask(n *trialNode, method, path string, query url.Values, credential, body string) (status int, answer []byte) {
	request, err := http.NewRequest(method, n.base+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		k.t.Error(err)
		return 0, nil
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	status, _, answer = k.do(request, credential)
	return status, answer
}

// do makes a request, for ten seconds at most, and returns the status, 0 for none, with the answer.
func (k *nodesTrial) do(request *http.Request, credential string) (status int, header http.Header, answer []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := requests.Do(request.WithContext(ctx))
	if err != nil {
		return 0, nil, nil
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, nil
	}
	return response.StatusCode, response.Header, answer
}

// uncertain says that what was asked for was refused, or may have been done or not: there was no answer, no node could, or too many of the
// organisation's requests waited for that.
func uncertain(status int) bool {
	return status == 0 || status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
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
		case !uncertain(status):
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
