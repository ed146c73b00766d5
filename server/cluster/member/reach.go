package member

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

const (
	// unheardFor is after what time without any message of another node a node looks whether it can be reached, and unansweredFor after what
	// time it says so although it can be, as far as it sees.
	unheardFor, unansweredFor = 5 * time.Second, 30 * time.Second
	// reachEvery is how often it looks, reachTries how often in a row it must have failed: a busy machine may take its time once.
	reachEvery, reachTries = time.Second, 3
)

// Unreached reports whether the node has said that no other node reaches it, and has heard of none since.
func (m *Member) Unreached() bool { return m.unreached.Load() }

// watchReach says in the log and in the node's status when its address seems wrong, until another node is heard or ctx ends. Others say only that they
// cannot connect to an address, and that where nobody looks.
//
// A node that does not reach itself may be reached by others all the same, where what publishes its port does not let it in from inside. So it says
// nothing as long as others are heard.
func (m *Member) watchReach(ctx context.Context) {
	began, failed := time.Now(), 0
	ticker := time.NewTicker(reachEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if _, heard := m.Peers.Stats(); heard > 0 {
			m.unreached.Store(false)
			return
		}
		if m.Unreached() || time.Since(began) < unheardFor {
			continue
		}
		err := m.Peers.Reach(ctx)
		if failed++; err == nil {
			failed = 0
		}
		if why := m.whyUnreached(err, failed, time.Since(began)); why != "" && ctx.Err() == nil {
			m.unreached.Store(true)
			_ = m.Warn(ctx, why) // it fails only when the node ends
		}
	}
}

// whyUnreached says why other nodes seem not to reach this one; empty where they may. The last look at whether it reaches itself ended with an
// error, as so many have in a row.
func (m *Member) whyUnreached(err error, failed int, lasted time.Duration) string {
	own := m.Peers.Self().Address
	if failed >= reachTries {
		return fmt.Sprintf("no other node has reached this one at %s, and neither does it itself (%v): mend --peer-addr, or what passes connections on to it", own, err)
	}
	stats, _ := m.Peers.Stats()
	for _, s := range stats {
		switch {
		case isLoopback(own) && !isLoopback(s.Address):
			return fmt.Sprintf("no other node reaches this one at %s, which is an address of this machine alone, and the node at %s is on another one: mend --peer-addr", own, s.Address)
		case s.Connected && lasted > unansweredFor && !m.MayServe():
			return fmt.Sprintf("nothing has come from the node at %s for %v, to which this one is connected: if it does not reach this one at %s, mend --peer-addr", s.Address, unansweredFor, own)
		}
	}
	return ""
}

// isLoopback reports whether an address, HOST:PORT, leads to the machine on which it is used.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
