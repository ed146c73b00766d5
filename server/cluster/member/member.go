// Package member makes a process a node of a service: it joins the protocol (package replica) to the register that holds its views
// (package register) and to its peers (package peer), which know nothing of each other.
package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"lastseen/schema/register"
	"lastseen/server/cluster/peer"
	"lastseen/server/cluster/replica"
)

// Config says what a node is and what it works with.
type Config struct {
	// ID lies in the node's data directory, of which this process has the lock.
	ID string
	// Incarnation tells this process from others of the same ID. It is random.
	Incarnation uint64
	// Listen is where to listen for peers, HOST:PORT. Advertised is where they reach it, unless that is the same.
	Listen, Advertised string
	// Identity is what all nodes have in common.
	Identity *peer.Identity
	// Register holds the views.
	Register register.Register
	// Store tells the database from others, Build is the version of lastseen.
	Store, Build string
	// State is what is the same on all nodes.
	State replica.State
	// Status returns what other nodes are told that ask for this one's; nil says nothing.
	Status func(*Member) []byte
	// Timing is the protocol's; the zero value means replica.DefaultTiming().
	Timing replica.Timing
	// Log gets what happens to the node.
	Log *slog.Logger
}

// Member is a node of a service. It is safe for concurrent use.
type Member struct {
	*replica.Node
	// Peers are the connections with the others, over which requests are handed on too.
	Peers *peer.Peers

	unreached atomic.Bool // it was said that no other node reaches this one
	stop      context.CancelFunc
	watching  sync.WaitGroup
}

// Join starts a node: it joins whoever leads, or leads if nobody does.
func Join(ctx context.Context, config Config) (*Member, error) {
	m := new(Member)
	started := make(chan struct{})
	peers, err := peer.Listen(ctx, config.Listen, peer.Config{
		Identity: config.Identity, Self: peer.Node{ID: config.ID, Incarnation: config.Incarnation, Address: config.Advertised},
		Oldest: replica.OldestFormat, Newest: replica.Format, Store: config.Store, Build: config.Build, Log: config.Log,
		Receive: func(frame []byte) error {
			<-started
			return m.Receive(frame)
		},
		Status: func() []byte {
			<-started
			if config.Status == nil {
				return nil
			}
			return config.Status(m)
		},
	})
	if err != nil {
		return nil, err
	}
	m.Peers = peers
	m.Node = replica.Start(replica.Options{
		Self:    replica.Member{ID: config.ID, Incarnation: config.Incarnation, Addr: peers.Self().Address},
		Cluster: config.Identity.Fingerprint(), Network: network{peers}, Register: views{config.Register}, State: config.State,
		Timing: config.Timing, Log: config.Log,
	})
	close(started)
	watched, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.watching.Go(func() { m.watchReach(watched) })
	return m, nil
}

// Close ends the node as it is; who wants the others to go on at once calls Leave before.
func (m *Member) Close() error {
	m.stop()
	m.watching.Wait()
	m.Node.Close()
	return m.Peers.Close()
}

// network is the replica.Network of peers.
type network struct{ peers *peer.Peers }

// Send implements replica.Network.
func (n network) Send(to replica.Member, frame []byte) { n.peers.Send(to.Addr, frame) }

// Format implements replica.Network.
func (n network) Format(to replica.Member) byte {
	if version := n.peers.Version(to.Addr); version != 0 {
		return byte(version)
	}
	return replica.OldestFormat
}

// views is the replica.Register of a register, which holds views as JSON.
type views struct{ register register.Register }

// Look implements replica.Register.
func (v views) Look(ctx context.Context) (replica.Seen, error) {
	state, err := v.register.Look(ctx)
	if err != nil || state.Epoch == 0 {
		return replica.Seen{}, err
	}
	seen := replica.Seen{Beat: state.Beat}
	if err := json.Unmarshal(state.View, &seen.View); err != nil || seen.View.Epoch != state.Epoch {
		return replica.Seen{}, fmt.Errorf("the register's view %d is not one of lastseen's: %w", state.Epoch, errors.Join(err, errOtherEpoch))
	}
	return seen, nil
}

var errOtherEpoch = errors.New("it says another epoch")

// Swap implements replica.Register.
func (v views) Swap(ctx context.Context, old uint64, next replica.View) (replica.View, error) {
	text, err := json.Marshal(next)
	if err != nil {
		return replica.View{}, fmt.Errorf("encode a view: %w", err)
	}
	err = v.register.Swap(ctx, old, text)
	if err == nil {
		return next, nil
	}
	if !errors.Is(err, register.ErrMoved) {
		return replica.View{}, err
	}
	seen, err := v.Look(ctx)
	return seen.View, err
}

// Beat implements replica.Register.
func (v views) Beat(ctx context.Context, epoch uint64) error {
	if err := v.register.Beat(ctx, epoch); !errors.Is(err, register.ErrMoved) {
		return err
	}
	return nil
}
