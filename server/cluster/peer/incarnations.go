package peer

import (
	"fmt"
	"sync"
	"time"
)

// aliveNow is within what time of its last sign a process counts as running.
const aliveNow = 2 * aliveEvery

// incarnations knows which processes send messages, to find two that have one id: copies of a data directory. It is safe for
// concurrent use.
type incarnations struct {
	mu    sync.Mutex
	known map[string]*incarnation
}

// incarnation is a process, of which one connection at least was made.
type incarnation struct {
	of   *incarnations
	node Node
	last time.Duration // of a sign of life
	open int           // connections
}

// take counts a connection of a process, and refuses it while another process of the id lives.
func (i *incarnations) take(node Node, now time.Duration) (*incarnation, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known := i.known[node.ID]
	if known == nil || known.node.Incarnation != node.Incarnation {
		if known != nil && known.open > 0 && now-known.last < aliveNow {
			return nil, fmt.Errorf("the node at %s has the id %s, under which one runs at %s: its data directory is a copy; give it a --data-dir of its own, with nothing in it but issuer.key",
				node.Address, node.ID, known.node.Address)
		}
		known = &incarnation{of: i, node: node}
		i.known[node.ID] = known
	}
	known.open++
	known.last = now
	return known, nil
}

// alive notes a sign of life.
func (n *incarnation) alive(now time.Duration) {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	n.last = now
}

// leave gives a connection up.
func (n *incarnation) leave() {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	n.open--
	if n.open == 0 && n.of.known[n.node.ID] == n {
		delete(n.of.known, n.node.ID)
	}
}
