package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/ingest"
	"lastseen/keys/people"
	"lastseen/query/history"
	"lastseen/query/latest"
	"lastseen/schema"
	"lastseen/schema/register"
	"lastseen/schema/witness"
	"lastseen/server/cluster"
	"lastseen/server/cluster/member"
	"lastseen/server/cluster/peer"
	"lastseen/server/cluster/replica"
	"lastseen/server/cluster/replicated"
	"lastseen/server/metrics"
)

// nodesFlags make a service of several nodes.
type nodesFlags struct {
	PeerAddr   string   `placeholder:"HOST:PORT" help:"Where this node is reached by the others of a service of several, which share one ClickHouse and one issuer.key; nowhere by default, and then the node is alone."`
	PeerListen string   `placeholder:"HOST:PORT" help:"Where this node listens for the others, if that is not --peer-addr: in a container whose port is published, or behind what passes connections on."`
	Keeper     []string `placeholder:"HOST:PORT,…" help:"ZooKeeper or ClickHouse Keeper that keeps which nodes there are; needed where ClickHouse is a cluster or has several addresses, and at the first start of a node that is alone where several were."`
}

func (f *nodesFlags) nodesConfig() nodesConfig {
	return nodesConfig{f.PeerAddr, f.PeerListen, f.Keeper}
}

// nodesConfig says how the node is one of several.
type nodesConfig struct {
	peerAddr   string // empty for a node that is alone
	peerListen string // empty for peerAddr
	keeper     []string
}

// check refuses what cannot be.
func (c nodesConfig) check(clickhouse string) error {
	switch {
	case c.peerAddr == "" && c.peerListen != "":
		return errors.New("--peer-listen is for a service of several nodes: give --peer-addr too, at which the others reach this one")
	case c.peerAddr == "":
		return nil
	case clickhouse == schema.Embedded:
		return errors.New("--peer-addr is for several nodes on one ClickHouse server, and the embedded one has one node: give --clickhouse http://…")
	}
	host, _, err := net.SplitHostPort(c.peerAddr)
	if err != nil {
		return fmt.Errorf("--peer-addr must be HOST:PORT, at which the other nodes reach this one: %w", err)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return fmt.Errorf("--peer-addr %s must name the host at which the other nodes reach this one", c.peerAddr)
	}
	return nil
}

// several is this node as one of several.
type several struct {
	*replicated.State
	node     *node
	process  uint64 // tells this process from others of the same node
	register *register.Watched
	place    string                        // of the register, as the database notes it
	watch    *witness.Watch                // of what ClickHouse must have
	member   atomic.Pointer[member.Member] // nil until it has joined, while others run already
}

// Leads implements cluster.Nodes. A node that has not joined yet does not lead.
func (s *several) Leads() bool {
	joined := s.member.Load()
	if joined == nil {
		return false
	}
	_, err := joined.Lead()
	return err == nil
}

// Leader implements cluster.Nodes.
func (s *several) Leader() (address string, known bool) {
	status := s.member.Load().Status()
	leader := status.View.Lead()
	return leader.Addr, leader.Addr != "" && leader.ID != s.node.id
}

// Process implements cluster.Nodes.
func (s *several) Process(number uint64) (address string, known bool) {
	members := s.member.Load().Status().View.Members
	i := slices.IndexFunc(members, func(m replica.Member) bool { return m.Incarnation == number })
	if i < 0 || number == s.process {
		return "", false
	}
	return members[i].Addr, true
}

// Member implements cluster.Nodes.
func (s *several) Member(address string) bool {
	return slices.ContainsFunc(s.member.Load().Status().View.Members, func(m replica.Member) bool { return m.Addr == address })
}

// Changed implements cluster.Nodes.
func (s *several) Changed() <-chan struct{} { return s.member.Load().Changed() }

// Dial implements cluster.Nodes.
func (s *several) Dial(ctx context.Context, address string) (net.Conn, error) {
	return s.member.Load().Peers.Dial(ctx, address)
}

// seams are who hears of points, and who knows how far the feed goes: nil for the writer.
func seams(a *App, lastSeen *latest.Table) (ingest.Notices, history.Watermark) {
	switch {
	case a.nodes != nil:
		return a.nodes, a.nodes
	case a.watch != nil:
		return witnessed{lastSeen, a.watch}, nil
	}
	return lastSeen, nil
}

// joinNodes makes the node take part, and waits until it may answer. It returns nil for a node that is alone.
func joinNodes(ctx context.Context, a *App, db *schema.DB, issuer *people.Issuer, parts replicated.Parts) (cluster.Nodes, error) {
	if a.nodes == nil {
		return nil, nil
	}
	identity, err := peer.NewIdentity(issuer.DeriveKey("nodes"))
	if err != nil {
		return nil, err
	}
	store, err := db.Identity(ctx)
	if err != nil {
		return nil, err
	}
	parts.Placed = func(ctx context.Context) error { return a.nodes.placed(ctx, db) }
	a.nodes.Build(parts)
	joined, err := member.Join(ctx, member.Config{
		ID: a.nodes.node.id, Incarnation: a.nodes.process, Listen: cmp.Or(a.config.nodes.peerListen, a.config.nodes.peerAddr), Advertised: advertised(a.config.nodes.peerAddr), Identity: identity, Register: a.nodes.register,
		Store: store, Build: version(), State: a.nodes.State, Status: a.nodes.encodedStatus, Log: a.config.log,
	})
	if err != nil {
		return nil, err
	}
	a.nodes.member.Store(joined)
	a.loading.nodes.Store(a.nodes)
	a.onStop("the node among the others", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
		defer cancel()
		if err := joined.Leave(ctx); err != nil {
			a.config.log.Warn("the other nodes find out by this one's silence that it has left", "error", err)
		}
		err := joined.Close()
		a.nodes.Close()
		return err
	})
	a.nodes.Begin(joined)
	settling, settled := context.WithCancel(context.Background())
	var settles sync.WaitGroup
	settles.Go(func() { a.nodes.Settle(settling) })
	settles.Go(func() { replicated.KeepDoors(settling, db, joined, a.config.log) })
	a.onStop("how far the feed goes, and the doors", func(context.Context) error {
		settled()
		settles.Wait()
		return nil
	})
	a.config.log.Info("waiting for the other nodes", "peer_address", joined.Peers.Self().Address, "node", a.nodes.node.id)
	err = a.nodes.awaitServing(ctx, &a.loading)
	debug.FreeOSMemory() // what came was decoded: as much again as what stays
	return a.nodes, err
}

// awaitServing waits until the node may answer, and says why it does not yet.
func (s *several) awaitServing(ctx context.Context, loading *loading) error {
	for !s.member.Load().MayServe() {
		if s.member.Load().Unreached() {
			loading.waitsFor(errUnreached)
		} else {
			loading.waitsFor(errNotJoined)
		}
		changed := s.member.Load().Changed()
		if s.member.Load().MayServe() {
			break
		}
		select {
		case <-changed:
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("wait for the other nodes: %w", context.Cause(ctx))
		}
	}
	return nil
}

// leaveTimeout bounds how long a node waits until the others know that it leaves.
const leaveTimeout = 5 * time.Second

// advertised is where others reach a node, empty where the system chooses the port.
func advertised(peerAddr string) string {
	if _, port, err := net.SplitHostPort(peerAddr); err == nil && port == "0" {
		return ""
	}
	return peerAddr
}

// NodeStats implements metrics.Nodes.
func (s *several) NodeStats() metrics.NodeStats {
	status := s.member.Load().Status()
	stats := metrics.NodeStats{Serving: s.member.Load().MayServe(), Leading: s.Leads(), Epoch: status.View.Epoch, Members: len(status.View.Members), RegisterSilent: s.register.Silent()}
	peers, received := s.member.Load().Peers.Stats()
	stats.Received = received
	for _, p := range peers {
		stats.Peers = append(stats.Peers, metrics.PeerStats{Address: p.Address, Connected: p.Connected, Sent: p.Sent, Dropped: p.Dropped})
	}
	for _, f := range status.Followers {
		i := slices.IndexFunc(status.View.Members, func(m replica.Member) bool { return m.ID == f.ID })
		if i >= 0 {
			stats.Followers = append(stats.Followers, metrics.FollowerStats{Address: status.View.Members[i].Addr, Silent: f.Silent, Behind: f.Behind})
		}
	}
	return stats
}
