package server

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// longestUpgradePause is what clients of other nodes may wait for an acknowledgement while one node is upgraded, on a machine that
// does other things too: docs/nodes.md says some tenths of a second.
const longestUpgradePause = 8 * time.Second

// TestNodesAreUpgradedOneByOne replaces each node by one of a later version, whose messages say more, while clients of all nodes poll
// and write, and each by one of this version again.
func TestNodesAreUpgradedOneByOne(t *testing.T) {
	n, binary := startRealNodes(t)
	later := buildLastseen(t, "later_version")
	session := n.session(1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	clients := upgradeClients{realNodes: n, session: session, down: make([]atomic.Bool, len(n.nodes))}
	var running sync.WaitGroup
	running.Go(func() { clients.write(ctx) })
	for i := range n.nodes {
		running.Go(func() { clients.poll(ctx, i) })
	}
	for _, version := range []string{later, binary} {
		for i, node := range n.nodes {
			clients.down[i].Store(true)
			n.stop(node, syscall.SIGTERM)
			n.start(node, version)
			n.await(node)
			clients.down[i].Store(false)
			known := clients.acknowledged.Load()
			n.until("points are acknowledged again", func() bool { return clients.acknowledged.Load() > known+3 })
		}
	}
	stop()
	running.Wait()
	t.Logf("%d points acknowledged, at most %v apart; %d polls answered, %d with 503", clients.acknowledged.Load(), time.Duration(clients.longest.Load()),
		clients.polls.Load(), clients.refused.Load())
	if longest := time.Duration(clients.longest.Load()); longest > longestUpgradePause {
		t.Errorf("no point was acknowledged for %v", longest)
	}
	for _, node := range n.nodes {
		for _, wrong := range []string{`"level":"ERROR","msg":"panic`, "not a message of a peer", "does not know"} {
			if strings.Contains(n.logged(node), wrong) {
				t.Errorf("a node logs %s", wrong)
			}
		}
	}
}

// TestANodeOfAVersionThatCannotBeUnderstoodIsRefused has a node join whose messages are of another time.
func TestANodeOfAVersionThatCannotBeUnderstoodIsRefused(t *testing.T) {
	n, binary := startRealNodes(t)
	foreign := buildLastseen(t, "foreign_version")
	session := n.session(1)
	stranger := n.nodes[2]
	n.stop(stranger, syscall.SIGTERM)
	n.start(stranger, foreign)
	n.until("both sides say in a sentence why", func() bool {
		return strings.Contains(n.logged(stranger), "too old to speak with this one") &&
			strings.Contains(n.logged(n.nodes[0]), "which speaks no version of the messages between nodes that this one") &&
			strings.Contains(n.logged(n.nodes[0]), "upgrade this one")
	})
	if status, _ := n.ask(stranger.base, http.MethodGet, "/readyz", "", ""); status == http.StatusOK {
		t.Error("the refused node is ready")
	}
	for _, node := range n.nodes[:2] {
		if status, answer := n.ask(node.base, http.MethodPost, pathIngest, n.token, pointOf(session, time.Now())); status != http.StatusOK {
			t.Errorf("beside a refused node a point is answered %d %s", status, answer)
		}
	}
	n.stop(stranger, syscall.SIGKILL)
	n.start(stranger, binary)
	n.await(stranger)
}

// upgradeClients are clients of all nodes.
type upgradeClients struct {
	*realNodes
	session                      string
	down                         []atomic.Bool // whether a load balancer leaves a node out
	newest                       atomic.Int64  // of the acknowledged points, Unix milliseconds
	acknowledged, polls, refused atomic.Int64
	longest                      atomic.Int64 // between two acknowledgements, nanoseconds
}

// write sends one point after the other, each to the next node that is not left out.
func (c *upgradeClients) write(ctx context.Context) {
	last := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		node := i % len(c.nodes)
		if c.down[node].Load() {
			continue
		}
		at := time.Now()
		status, answer := c.ask(c.nodes[node].base, http.MethodPost, pathIngest, c.token, pointOf(c.session, at))
		switch status {
		case http.StatusOK:
			c.acknowledged.Add(1)
			c.newest.Store(at.UnixMilli())
			c.longest.Store(max(c.longest.Load(), int64(time.Since(last))))
			last = time.Now()
		case 0, http.StatusServiceUnavailable: // the node is going, or the leader is
		default:
			c.Errorf("a point is answered %d %s", status, answer)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// poll polls a node unless it is left out. Nothing may be older than what was acknowledged before.
func (c *upgradeClients) poll(ctx context.Context, node int) {
	for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if c.down[node].Load() {
			continue
		}
		known := c.newest.Load()
		status, answer := c.ask(c.nodes[node].base, http.MethodGet, pathLastSeen+"?session_id="+c.session, c.token, "")
		switch status {
		case http.StatusOK:
			c.polls.Add(1)
			_, rest, _ := strings.Cut(string(answer), `"timestamp":"`)
			text, _, _ := strings.Cut(rest, `"`)
			if at, err := time.Parse(time.RFC3339, text); known > 0 && (err != nil || at.UnixMilli() < known) {
				c.Errorf("a poll is answered %s, and %s was acknowledged before", answer, time.UnixMilli(known).UTC())
			}
		case 0, http.StatusServiceUnavailable:
			c.refused.Add(1)
		default:
			c.Errorf("a poll is answered %d %s", status, answer)
		}
	}
}
