package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// realNodes are three nodes, each a process of the real binary, on a ClickHouse server of their own, and a proxy in front of them that
// gives each request to the next of them.
type realNodes struct {
	*testing.T
	clickhouse string
	issuer     *people.Issuer
	nodes      []*realNode
	proxy      *httptest.Server
	token      string
	calls      atomic.Uint64
}

// realNode is one of them.
type realNode struct {
	dir, base, peer string
	process         *exec.Cmd
	log             *os.File
}

// startRealNodes starts them, with a binary that is built for the test.
func startRealNodes(t *testing.T) (nodes *realNodes, binary string) {
	t.Helper()
	if os.Getenv("LASTSEEN_TEST_NODES") == "" {
		t.Skip("it starts several processes: make test-nodes")
	}
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	binary = buildLastseen(t, "")
	n := &realNodes{T: t, clickhouse: clickhousetest.Start(t, clickhousetest.Options{}).URL("lastseen")}
	dir := t.TempDir()
	for i := range 3 {
		node := &realNode{dir: filepath.Join(dir, fmt.Sprint(i)), base: "http://" + clickhousetest.FreeAddress(n.T), peer: clickhousetest.FreeAddress(n.T)}
		n.must(os.Mkdir(node.dir, 0o700))
		var err error
		node.log, err = os.Create(filepath.Join(dir, fmt.Sprint(i, ".log")))
		n.must(err)
		n.nodes = append(n.nodes, node)
	}
	n.shareIssuer()
	t.Cleanup(n.end)
	for _, node := range n.nodes {
		n.start(node, binary)
		n.await(node)
	}
	n.proxy = httptest.NewServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		to, err := url.Parse(n.next().base)
		n.must(err)
		r.SetURL(to)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}})
	t.Cleanup(n.proxy.Close)
	return n, binary
}

// buildLastseen builds the binary with a build tag, or without one.
func buildLastseen(t *testing.T, tag string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "lastseen"+tag)
	if out, err := exec.Command("go", "build", "-tags", tag, "-o", binary, "lastseen/cmd/lastseen").CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	return binary
}

func (n *realNodes) must(err error) {
	n.Helper()
	if err != nil {
		n.Fatal(err)
	}
}

// shareIssuer gives all nodes one issuer's key, and makes a token.
func (n *realNodes) shareIssuer() {
	var err error
	n.issuer, err = people.OpenIssuer(n.nodes[0].dir, time.Now)
	n.must(err)
	n.token, err = n.issuer.Sign(people.User{ID: "user_olga", OrgID: "org_a", Role: keys.RoleOwner}, time.Hour)
	n.must(err)
	key, err := os.ReadFile(filepath.Join(n.nodes[0].dir, people.IssuerFile))
	n.must(err)
	for _, node := range n.nodes[1:] {
		n.must(os.WriteFile(filepath.Join(node.dir, people.IssuerFile), key, 0o600))
	}
}

// start starts a node with a binary.
func (n *realNodes) start(node *realNode, binary string) {
	n.Helper()
	node.process = exec.Command(binary, "serve", "--data-dir", node.dir, "--addr", strings.TrimPrefix(node.base, "http://"), "--peer-addr", node.peer,
		"--clickhouse", n.clickhouse, "--admin-addr", "", "--no-fsync", "--outliers", "off")
	node.process.Stdout, node.process.Stderr = node.log, node.log
	n.must(node.process.Start())
}

// stop ends a node with a signal.
func (n *realNodes) stop(node *realNode, signal syscall.Signal) {
	if node.process == nil {
		return
	}
	_ = node.process.Process.Signal(signal)
	_ = node.process.Wait()
	node.process = nil
}

func (n *realNodes) end() {
	for i, node := range n.nodes {
		n.stop(node, syscall.SIGKILL)
		if n.Failed() {
			n.Logf("node %d at %s:\n%s", i, node.peer, n.logged(node))
		}
		node.log.Close()
	}
}

// logged is what a node has logged.
func (n *realNodes) logged(node *realNode) string {
	text, err := os.ReadFile(node.log.Name())
	n.must(err)
	return string(text)
}

// await waits until a node is ready.
func (n *realNodes) await(node *realNode) {
	n.Helper()
	n.until("the node is ready", func() bool {
		status, _ := n.ask(node.base, http.MethodGet, "/readyz", "", "")
		return status == http.StatusOK
	})
}

// nodesPatience is how long something may take: the feed of a server waits for a minute after a start.
const nodesPatience = 2 * time.Minute

// until waits until something holds.
func (n *realNodes) until(what string, holds func() bool) {
	n.Helper()
	for began := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > nodesPatience {
			n.Fatalf("it is not so in time that %s", what)
		}
	}
}

// next is the node whose turn it is.
func (n *realNodes) next() *realNode { return n.nodes[n.calls.Add(1)%uint64(len(n.nodes))] }

// ask makes a request and returns its status, 0 for no answer.
func (n *realNodes) ask(base, method, path, credential, body string) (status int, answer []byte) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
	n.must(err)
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	if answer, err = io.ReadAll(response.Body); err != nil {
		return 0, nil
	}
	return response.StatusCode, answer
}

// get asks whose turn it is, and must be answered with 2xx.
func (n *realNodes) get(path, credential string, into any) {
	n.Helper()
	n.exchange(http.MethodGet, path, credential, "", into)
}

// post likewise, with a body or without one.
func (n *realNodes) post(path, body string, into any) {
	n.Helper()
	n.exchange(http.MethodPost, path, n.token, body, into)
}

func (n *realNodes) exchange(method, path, credential, body string, into any) {
	n.Helper()
	status, answer := n.ask(n.proxy.URL, method, path, credential, body)
	if status/100 != 2 {
		n.Fatalf("%s %s is answered %d %s", method, path, status, answer)
	}
	if into == nil {
		return
	}
	if err := json.NewDecoder(bytes.NewReader(answer)).Decode(into); err != nil {
		n.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

// session makes a device and a session of it.
func (n *realNodes) session(number int) (session string) {
	n.Helper()
	var device string
	n.post(pathRegister, fmt.Sprintf(`{"schema_version":1,"device_mac_address":"00:00:00:00:00:%02X"}`, number), &device)
	n.post(pathCreateSession+"?device_id="+device, fmt.Sprintf(`{"schema_version":1,"off_chrt_reference_id":"load-%d"}`, number), &session)
	return session
}

// point sends a point of a session.
func (n *realNodes) point(session string, at time.Time) {
	n.Helper()
	n.post(pathIngest, pointOf(session, at), nil)
}

// pointOf is the body of a request with a point.
func pointOf(session string, at time.Time) string {
	return fmt.Sprintf(`{"points":[{"session_id":%q,"timestamp":%q,"latitude":48,"longitude":11}]}`, session, at.UTC().Format("2006-01-02T15:04:05.000Z"))
}
