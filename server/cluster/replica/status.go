package replica

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Status is what a node knows of itself and the others, some tenths of a second ago at most.
type Status struct {
	Self Member
	Role Role
	// View is the one that the node adopted last; outside, the one that the register showed last.
	View View
	// Serving says that the node serves reads; Committing that it leads and takes writes.
	Serving, Committing bool
	// LeaderSilent is for how long a follower has not heard its leader.
	LeaderSilent time.Duration
	// Followers are a leader's.
	Followers []FollowerStatus
	// Joining are who is being given a leader's state.
	Joining []JoiningStatus
	// Removed are who was a member when this node took part, and is none any more, the last one last.
	Removed []Removal
	// Notes are the node's last transitions, the newest last.
	Notes []Note
}

// Role is what a node is.
type Role string

// The roles: a node is one of them.
const (
	Outside   Role = "outside"
	Following Role = "follower"
	Leading   Role = "leader"
)

// FollowerStatus is what a leader knows of a follower.
type FollowerStatus struct {
	ID     string
	Silent time.Duration // since it was heard
	// Behind is how many PUTs the follower has not acknowledged: one at most, since the next waits for all. Lag is for how
	// long that has been under way.
	Behind int
	Lag    time.Duration
}

// JoiningStatus is what a leader knows of a node that it takes in.
type JoiningStatus struct {
	ID, Addr string
	Silent   time.Duration // since it was heard
	Pieces   uint32        // of the state, that it has been sent
}

// Note is a transition of a node, in words.
type Note struct {
	At   time.Time
	Text string
}

// Status returns it. What it holds is not to be altered.
func (n *Node) Status() Status { return *n.status.Load() }

// Changed returns a channel that is closed when the status may be another: at a transition, and when the node begins or ends to
// serve or to commit.
func (n *Node) Changed() <-chan struct{} { return n.changed.next() }

// publishRights lets others see what the node may do after a step.
func (n *Node) publishRights() {
	c, before := n.core, n.commit.Load()
	n.serveUntil.Store(int64(c.serveUntil()))
	now := commitRight{}
	if term := c.committable(c.now); term != 0 {
		now = commitRight{term, c.rightUntil()}
	}
	if now != *before {
		n.commit.Store(&now)
	}
	if serving := c.served; serving != n.status.Load().Serving || now.term != before.term {
		n.changed.pending = true
	}
}

// publish lets others see the status.
func (n *Node) publish() {
	c := n.core
	s := &Status{Self: c.self, Role: Outside, View: c.view, Serving: c.served, Committing: n.commit.Load().term != 0, Notes: slices.Clone(n.notes)}
	switch {
	case c.lead != nil:
		s.Role = Leading
		for _, f := range c.lead.followers {
			status := FollowerStatus{ID: f.ID, Silent: c.now.Sub(f.heard)}
			if p := c.lead.put; p != nil && !slices.Contains(p.acks, f.ID) {
				status.Behind, status.Lag = 1, c.now.Sub(p.began)
			}
			s.Followers = append(s.Followers, status)
		}
		for _, j := range c.lead.joiners {
			s.Joining = append(s.Joining, JoiningStatus{j.ID, j.Addr, c.now.Sub(j.heard), j.sent.Piece + 1})
		}
	case c.follow != nil:
		s.Role, s.LeaderSilent = Following, c.now.Sub(c.follow.heard)
	case c.out.seen.View.Epoch > c.view.Epoch:
		s.View = c.out.seen.View
	}
	s.Removed = n.removals.after(s.View)
	n.status.Store(s)
	if n.changed.pending {
		n.changed.pending = false
		n.changed.tell()
	}
}

// note remembers a transition.
func (n *Node) note(what noted) {
	level := slog.LevelInfo
	if what.wrong {
		level = slog.LevelWarn
	}
	n.log.Log(context.Background(), level, "nodes: "+what.text, "epoch", n.core.view.Epoch)
	n.notes = append(n.notes[max(0, len(n.notes)-maxNotes+1):], Note{time.Now(), what.text})
	n.changed.pending = true
}

// changes wakes who waits for a change.
type changes struct {
	pending bool // the loop's: something is to be told after this step
	mu      sync.Mutex
	told    chan struct{}
}

func (c *changes) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told == nil {
		c.told = make(chan struct{})
	}
	return c.told
}

func (c *changes) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told != nil {
		close(c.told)
		c.told = nil
	}
}
