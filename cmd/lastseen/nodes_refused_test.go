package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lastseen/keys/people"
	"lastseen/schema/clickhousetest"
	"lastseen/schema/schematest"
)

// stranger is a process that must not take part in a trial.
type stranger struct {
	name string
	// dir is its data directory, flags what it is started with besides.
	dir   string
	flags []string
	says  string // in its log
	ends  bool   // by itself, with that as its error
	// told is what the leader says in its log; empty where it cannot know.
	told string
}

// TestWhoMustNotTakePartIsRefusedInASentence starts what must not take part in a service that runs, and looks that it never serves, that
// it is told why, and that the service goes on.
func TestWhoMustNotTakePartIsRefusedInASentence(t *testing.T) {
	schematest.OnlyOn(t, schematest.Embedded, "it has a server of its own")
	requireNodes(t)
	k := newNodesTrial(t, nodesOptions{keeper: true})
	k.begin(1)
	leader := k.leader()
	ofLeader, ofFollower, other, unreached, mistaken := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	leader.copy(t, ofLeader, "node", people.IssuerFile)
	k.another(leader).copy(t, ofFollower, "node", people.IssuerFile)
	for _, dir := range []string{other, unreached, mistaken} {
		leader.copy(t, dir, people.IssuerFile)
	}
	keeper := "--keeper=" + k.network.register[0].Address()
	another := "--keeper=" + clickhousetest.StartKeeper(t).Address()
	peer := func() string { return "--peer-addr=" + clickhousetest.FreeAddress(t) }
	for _, s := range []stranger{
		{name: "the data directory of a node that runs", dir: k.nodes[0].dir, flags: []string{peer(), keeper}, says: "is in use by process", ends: true},
		{name: "a copy of the leader's data directory", dir: ofLeader, flags: []string{peer(), keeper}, says: "has the same ID and leads: was its data directory copied?"},
		{name: "a copy of a follower's data directory", dir: ofFollower, flags: []string{peer(), keeper}, says: "its data directory is a copy"},
		{name: "another issuer key", dir: t.TempDir(), flags: []string{peer(), keeper}, says: "the register is that of nodes with another key", told: "has another issuer key"},
		{name: "an address at which nobody listens", dir: unreached, flags: []string{peer(), "--peer-listen=" + clickhousetest.FreeAddress(t), keeper}, says: "no other node has reached this one at"},
		{name: "the address of another node", dir: mistaken, flags: []string{"--peer-addr=" + leader.peer, "--peer-listen=" + clickhousetest.FreeAddress(t), keeper}, says: "another node answers there, with the id"},
		{name: "another Keeper", dir: other, flags: []string{peer(), another}, says: "have their register in the Keeper's register", ends: true},
		{name: "no Keeper", dir: other, flags: []string{peer()}, says: "have their register in the Keeper's register", ends: true},
		{name: "a node that is alone", dir: other, says: "have their register in a Keeper", ends: true},
		{name: "a node that is alone and knows the Keeper", dir: other, flags: []string{keeper}, says: "several nodes use this database", ends: true},
	} {
		t.Run(s.name, func(t *testing.T) { k.refuse(t, s) })
	}
	t.Run("a register that is away while nodes run", k.loseRegister)
	t.Run("what operators are shown", k.showsOperators)
	for _, n := range k.nodes {
		n.signal(syscall.SIGTERM)
	}
	t.Run("nodes that have stopped", func(t *testing.T) { k.goOnAlone(t, other, keeper) })
	t.Run("a register that is away at the start", k.startWithoutRegister)
}

// copy copies files of the node's data directory.
func (n *trialNode) copy(t *testing.T, to string, files ...string) {
	t.Helper()
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(n.dir, f))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, f), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// refuse starts a stranger.
func (k *nodesTrial) refuse(t *testing.T, s stranger) {
	admin := clickhousetest.FreeAddress(t)
	flags := append([]string{"--clickhouse=" + k.servers[0].URL("lastseen"), "--no-fsync", "--admin-addr=" + admin}, s.flags...)
	if s.ends {
		_, stderr, code := command(t, storeEnv, append([]string{"serve", "--addr=127.0.0.1:0", "--data-dir=" + s.dir}, flags...)...)
		if code == 0 || !strings.Contains(stderr, s.says) {
			t.Errorf("exit code %d, and what is said is not %q:\n%s", code, s.says, stderr)
		}
		k.goesOn(t)
		return
	}
	process, lines, err := launchServiceIn(storeEnv, s.dir, flags...)
	if err != nil {
		t.Fatal(err)
	}
	defer process.kill()
	var log strings.Builder
	said, late := false, time.After(20*time.Second)
	for quiet := 0; quiet < 3; {
		select {
		case line := <-lines:
			if log.WriteString(line + "\n"); strings.Contains(line, `"msg":"listening"`) {
				t.Errorf("it serves:\n%s", log.String())
			}
			said = said || strings.Contains(line, s.says)
		case <-late:
			t.Fatalf("it does not say %q:\n%s", s.says, log.String())
		case <-time.After(time.Second):
			if said {
				quiet++
			}
			k.goesOn(t)
		}
	}
	if out, stderr, code := command(t, nil, "nodes", "--admin=http://"+admin); code != 0 || !strings.Contains(out, "it may not answer at present") || !strings.Contains(out, s.says) {
		t.Errorf("lastseen nodes exits with %d, and does not say %q:\n%s%s", code, s.says, out, stderr)
	}
	if s.told != "" && !strings.Contains(k.leader().logged(), s.told) {
		t.Errorf("the leader does not say %q", s.told)
	}
	go func() {
		for range lines { // until it has ended
		}
	}()
}

// showsOperators asks each node for all of them: whichever it is, since when the leader has heard each follower, how far that lags, whether
// each answers, and who was removed and why. The node that was removed does not have it from its own memory when it is back.
func (k *nodesTrial) showsOperators(t *testing.T) {
	gone := k.another(k.leader())
	id := gone.id(t)
	gone.signal(syscall.SIGKILL)
	removed := regexp.MustCompile(`(?m)^` + id + ` .* removed .*Z, epoch \d+: ` + id + ` did not answer for `)
	for _, n := range k.nodes {
		if n != gone {
			k.awaitShown(t, n, removed)
		}
	}
	k.start(gone)
	k.awaitReady(gone)
	k.goesOn(t)
	leader := k.leader()
	for _, n := range k.nodes {
		for _, of := range k.nodes {
			role, heard, lag := "follower", `[\d.]+m?s ago`, `(none|1 change for .*)`
			if of == leader {
				role, lag = "leader", ""
			}
			if of == leader && n == leader {
				heard = ""
			}
			k.awaitShown(t, n, regexp.MustCompile(`(?m)^`+of.id(t)+` +\S+ +\S+ +`+role+` +`+heard+` +`+lag+`.*it answers`))
		}
		if out := k.shown(t, n); strings.Contains(out, "  removed  ") {
			t.Errorf("who is back is still shown as removed:\n%s", out)
		}
	}
}

// shown is what lastseen nodes prints when a node is asked.
func (k *nodesTrial) shown(t *testing.T, n *trialNode) string {
	t.Helper()
	out, stderr, code := command(t, nil, "nodes", "--admin=http://"+n.admin)
	if code != 0 {
		t.Fatalf("lastseen nodes exits with %d: %s", code, stderr)
	}
	return out
}

// awaitShown waits until it prints something.
func (k *nodesTrial) awaitShown(t *testing.T, n *trialNode, what *regexp.Regexp) {
	t.Helper()
	for began := time.Now(); !what.MatchString(k.shown(t, n)); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("asked at %s, lastseen nodes never shows %s:\n%s", n.admin, what, k.shown(t, n))
		}
	}
}

// id is that of the node.
func (n *trialNode) id(t *testing.T) string {
	t.Helper()
	id, _, err := readNode(filepath.Join(n.dir, nodeFile))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// goesOn has a point acknowledged by one node and asks all for it.
func (k *nodesTrial) goesOn(t *testing.T) {
	t.Helper()
	of := k.tracks[0]
	of.floor = max(of.floor+1000, time.Now().Add(-time.Hour).UnixMilli())
	latitude, longitude := valuesAt(of.floor)
	if !k.change("/tracking/timeseries/session_by_device/ingest/v1", nil, fmt.Sprintf(`{"points":[{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":%v}]}`,
		of.session, wireTime(of.floor), latitude, longitude), nil) {
		return
	}
	of.sent[of.floor] = true
	for _, n := range k.nodes {
		if status, answer := k.askUntil(n, lastSeenPath, url.Values{"session_id": {of.session}}); status != http.StatusOK || !strings.Contains(string(answer), wireTime(of.floor)) {
			t.Errorf("the node at %s answers %d %s, want %s", n.base, status, answer, wireTime(of.floor))
		}
	}
}

// goOnAlone has one node take the place of several that have stopped, and then these the place of that one, which is killed. The first of
// them wait until its lease has ended, and nobody after that.
func (k *nodesTrial) goOnAlone(t *testing.T, dir, keeper string) {
	for i, flags := range [][]string{{keeper}, nil} { // the Keeper is asked once
		alone := startOnStore(t, storeEnv, dir, k.servers[0].URL("lastseen"), append(flags, "--no-fsync", "--admin-addr=")...)
		var point *dataPoint
		alone.get(t, lastSeenPath, url.Values{"session_id": {k.tracks[0].session}}, k.key, &point)
		if point == nil || point.Timestamp.UnixMilli() != k.tracks[0].floor {
			t.Errorf("alone it shows %v, want %s", point, wireTime(k.tracks[0].floor))
		}
		if i == 1 {
			alone.kill()
		} else if err := alone.terminate(); err != nil {
			t.Error(err)
		}
	}
	for _, n := range k.nodes {
		k.start(n)
	}
	for _, n := range k.nodes {
		k.awaitReady(n)
	}
	k.goesOn(t)
	const waits = "has not given its lease up; waiting until it has ended"
	again := k.nodes[0]
	if !strings.Contains(again.logged(), waits) {
		t.Errorf("the node does not say %q", waits)
	}
	again.signal(syscall.SIGTERM)
	place := len(again.logged())
	k.start(again)
	k.awaitReady(again)
	if strings.Contains(again.logged()[place:], waits) {
		t.Error("a node waits for the lease of a process whose end was waited for before")
	}
}

// loseRegister has the register out of reach of all nodes, which go on, say so once in the log and to operators, and once when it is back.
func (k *nodesTrial) loseRegister(t *testing.T) {
	before := k.logLengths() // a machine that stood still may have had them say so already
	for i := range k.nodes {
		k.network.register[i].Cut()
	}
	k.awaitLogged(t, before, "the register of the nodes does not answer")
	k.goesOn(t)
	for _, n := range k.nodes {
		if out, stderr, code := command(t, nil, "nodes", "--admin=http://"+n.admin); code != 0 || !strings.Contains(out, "has not answered this node for") {
			t.Errorf("lastseen nodes exits with %d and does not say that the register is away:\n%s%s", code, out, stderr)
		}
		if status, _ := k.ask(n, http.MethodGet, "/readyz", nil, "", ""); status != http.StatusOK {
			t.Errorf("a node that serves without its register is %d on /readyz", status)
		}
	}
	before = k.logLengths()
	k.network.mend(k.network.register)
	k.awaitLogged(t, before, "the register of the nodes answers again")
}

// logLengths are how long the logs of all nodes are by now.
func (k *nodesTrial) logLengths() (lengths []int) {
	for _, n := range k.nodes {
		lengths = append(lengths, len(n.logged()))
	}
	return lengths
}

// awaitLogged waits until all nodes have logged a message since their logs were so long.
func (k *nodesTrial) awaitLogged(t *testing.T, since []int, message string) {
	t.Helper()
	for i, n := range k.nodes {
		for began := time.Now(); !strings.Contains(n.logged()[since[i]:], message); time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("the node at %s does not say %q", n.base, message)
			}
		}
		if times := strings.Count(n.logged()[since[i]:], message); times != 1 {
			t.Errorf("the node at %s says %q %d times", n.base, message, times)
		}
	}
}

// startWithoutRegister kills all nodes, and starts them while the register is out of their reach.
func (k *nodesTrial) startWithoutRegister(t *testing.T) {
	for _, n := range k.nodes {
		n.signal(syscall.SIGKILL)
	}
	for i := range k.nodes {
		k.network.register[i].Cut()
	}
	places := map[*trialNode]int{}
	for _, n := range k.nodes {
		places[n] = len(n.logged())
		k.start(n)
	}
	const says = "waiting for the Keeper"
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		saying, asked := 0, 0
		for _, n := range k.nodes {
			if strings.Contains(n.logged()[places[n]:], says) {
				saying++
			}
			if status, _ := k.ask(n, http.MethodGet, "/readyz", nil, "", ""); status == http.StatusOK {
				t.Fatal("a node serves without its register")
			}
			if _, stderr, code := command(t, nil, "nodes", "--admin=http://"+n.admin); code != 0 && strings.Contains(stderr, "waits for the Keeper") {
				asked++
			}
		}
		if saying == len(k.nodes) && asked == len(k.nodes) && time.Since(began) > 3*time.Second {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%d nodes say %q in their logs, %d to operators", saying, says, asked)
		}
	}
	k.network.mend(k.network.register)
	for _, n := range k.nodes {
		k.awaitReady(n)
	}
	k.goesOn(t)
}
