package replica

import (
	"slices"
	"strings"
)

// View says who takes part: one leader, who alone commits, and the members, who hold all that was committed and answer
// from it. Views are numbered by their epoch and follow each other in the register. A view is never changed once made.
type View struct {
	// Cluster is the fingerprint of what all nodes share: a node whose own is another takes no part.
	Cluster string `json:"cluster"`
	// Epoch numbers the views from 1; each is its predecessor's and one. 0 is the view of an empty register: nobody.
	Epoch uint64 `json:"epoch"`
	// Term is the epoch in which the reign of the leader began: it stays while a leader changes its own view. What a
	// leader writes to the store carries it, so that what a deposed one wrote can be refused.
	Term uint64 `json:"term"`
	// Leader is the ID of the member that leads.
	Leader string `json:"leader"`
	// Members are who takes part, the leader too, by ID.
	Members []Member `json:"members"`
	// Former are who may still serve by an earlier view, although they are not known to have adopted this one, by ID.
	// Nothing is committed in this view before they cannot any more.
	Former []Former `json:"former,omitempty"`
	// Why says in a sentence why this view follows the one before: for people.
	Why string `json:"why,omitempty"`
}

// Member is a process that takes part in a view.
type Member struct {
	// ID lies in the node's data directory, under its lock: two processes with one ID do not run at the same time.
	ID string `json:"id"`
	// Incarnation is another number for every process. It tells a restarted node from the one that was a member.
	Incarnation uint64 `json:"incarnation"`
	// Addr is where its peers reach it: HOST:PORT.
	Addr string `json:"addr"`
	// Since is the epoch in which it became a member.
	Since uint64 `json:"since"`
	// Joined is the sequence to which it had followed its predecessors' changes when it became a member.
	Joined uint64 `json:"joined,omitempty"`
}

// Same says whether two are the same process.
func (m Member) Same(other Member) bool {
	return m.ID == other.ID && m.Incarnation == other.Incarnation
}

// Former is a node that may still serve by an earlier view.
type Former struct {
	ID string `json:"id"`
	// Hard says that it may do so for the long term (Timing.LongTerm), because nobody in this view has heard of it.
	Hard bool `json:"hard,omitempty"`
}

// Member returns the member of an ID.
func (v View) Member(id string) (Member, bool) {
	for _, m := range v.Members {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// Lead returns the member that leads; the zero Member in the view of an empty register.
func (v View) Lead() Member {
	m, _ := v.Member(v.Leader)
	return m
}

// Has says whether a process is a member: one of its ID and its incarnation.
func (v View) Has(process Member) bool {
	m, is := v.Member(process.ID)
	return is && m.Same(process)
}

// Equal says whether two views are the same in everything.
func (v View) Equal(other View) bool {
	return v.Cluster == other.Cluster && v.Epoch == other.Epoch && v.Term == other.Term && v.Leader == other.Leader &&
		v.Why == other.Why && slices.Equal(v.Members, other.Members) && slices.Equal(v.Former, other.Former)
}

// rank is how many members with a smaller ID follow the same leader: who is the how manieth to take over from it.
func (v View) rank(id string) int {
	rank := 0
	for _, m := range v.Members {
		if m.ID < id && m.ID != v.Leader {
			rank++
		}
	}
	return rank
}

// without returns the members without one.
func (v View) without(id string) []Member {
	return slices.DeleteFunc(slices.Clone(v.Members), func(m Member) bool { return m.ID == id })
}

// with returns the members with another one, by ID.
func (v View) with(m Member) []Member {
	members := append(v.without(m.ID), m)
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return members
}
