// Package cluster has the two questions that a service of several nodes must answer: who owns a session (Owner), and who
// must hear of a change before it counts as made (Notices). A service of one node, which is all that there is so far,
// owns everything and tells only itself: see Local.
package cluster

import (
	"errors"

	"lastseen/keys/apikey"
	"lastseen/schema"
)

// ErrElsewhere says that another node owns a session.
var ErrElsewhere = errors.New("another node owns the session")

// Owner knows which node owns a session: the one that answers for it from memory, because it has every point of it
// that was acknowledged. It is asked for every poll, and must be quick. It is safe for concurrent use.
type Owner interface {
	// Own returns nil when this node owns a session now, and ErrElsewhere or why that cannot be told.
	Own(session schema.ID) error
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
