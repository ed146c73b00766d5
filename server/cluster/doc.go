// Package cluster has the two questions that a service of several nodes must answer: who owns a session (Owner), and who
// must hear of a change before it counts as made (Notices). A node that is alone owns everything and tells only itself: see
// Local; those of a service of several are Nodes.
package cluster

import (
	"context"
	"errors"
	"net"

	"lastseen/keys/apikey"
	"lastseen/schema"
)

// ErrElsewhere says that another node owns a session.
var ErrElsewhere = errors.New("another node owns the session")

var (
	// ErrNoRight says that this node may not answer at present: it may have missed what others have acknowledged.
	ErrNoRight = errors.New("the node is not in touch with the others")
	// ErrPending says that this node has been told of something that is not known to be with all nodes yet.
	ErrPending = errors.New("a change is on its way to all nodes")
)

// Owner knows which node owns a session: the one that answers for it from memory, because it has every point of it
// that was acknowledged. It is asked for every poll, and must be quick. It is safe for concurrent use.
type Owner interface {
	// Own returns nil when this node owns a session now, and ErrElsewhere or why that cannot be told.
	Own(session schema.ID) error
}

// Nodes are the nodes of a service, as one of them asks about them. They are safe for concurrent use.
type Nodes interface {
	Owner
	// Enter returns nil when this node may answer, and all that it was told of before the call is with all nodes. It waits for
	// a second at most, and fails with ErrNoRight or ErrPending.
	Enter(ctx context.Context) error
	// Leads reports whether this node takes changes now.
	Leads() bool
	// Leader returns where to reach the one that does, as far as is known here.
	Leader() (address string, known bool)
	// Process returns where to reach the node whose process has a number, unless it is this one or is no node any more.
	Process(number uint64) (address string, known bool)
	// Member reports whether the node at an address is a member, as far as is known here.
	Member(address string) bool
	// Changed returns a channel that is closed when members or the leader may be others.
	Changed() <-chan struct{}
	// Dial makes a connection to a node for HTTP requests that are handed to it.
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// Notices carry what every node must have applied before a change counts as made.
type Notices struct {
	// Keys are the changes to keys: a revocation is acknowledged when all have applied it.
	Keys apikey.RevocationChannel
}

// Cluster is a node's view of the nodes.
type Cluster struct {
	Owner   Owner
	Notices Notices
}

// Local is the view of a node that is alone.
func Local() *Cluster {
	return &Cluster{Owner: everything{}, Notices: Notices{Keys: &apikey.LocalChannel{}}}
}

// everything owns every session.
type everything struct{}

// Own returns nil.
func (everything) Own(schema.ID) error { return nil }
