package replica

import "slices"

// joiner is what a leader knows of a node that it takes in: which piece of its state it sent last.
type joiner struct {
	Member
	number uint64 // of the snapshot
	from   Snapshot
	sent   snapshot
	more   bool   // pieces follow
	synced uint64 // the sequence up to which the node has everything; 0 while pieces are missing
	heard  Instant
}

// onJoin is a node that wants to be taken in, or its next piece.
func (c *core) onJoin(from Member, m *join) {
	l := c.lead
	if l == nil {
		return
	}
	c.leaderHeardLeave(from, m.Left)
	if c.lead != l {
		return
	}
	if _, is := c.view.Member(from.ID); is {
		return // an earlier process of its ID: if that is dead, it is about to be removed for its silence
	}
	c.send(from, &beat{Epoch: c.view.Epoch, Promise: c.hasRight(), View: c.view}) // so that it knows that somebody leads
	if !l.open && c.broken.keeps(joinRecovered) || !c.hasRight() {
		return
	}
	j := c.joiner(from)
	switch {
	case j == nil, m.Snapshot == 0 && (j.sent.Piece > 0 || j.sent.Sequence != c.snapshotSequence()),
		m.Snapshot != j.number && !c.broken.keeps(oneSnapshot):
		if j = c.welcome(from); j == nil {
			return
		}
	case m.Snapshot != j.number:
		// Late, and of an earlier snapshot. Were each such answered by another snapshot, two messages under way at a time
		// would begin joining anew for ever.
		if j.sent.Piece > 0 {
			return
		}
	case m.Piece == j.sent.Piece+1 && !c.nextPiece(j):
		return
	}
	j.heard = c.now
	if m.Piece == j.sent.Piece || m.Snapshot != j.number {
		piece := j.sent
		c.send(j.Member, &piece)
		if piece.Piece == 0 && l.put != nil {
			c.sendPut(j.Member)
		}
	}
	c.advance()
}

// welcome begins a snapshot for a node. It has all that is committed; what is under way, and what follows, comes by PUT. It
// returns nil if the state cannot be read.
func (c *core) welcome(from Member) *joiner {
	c.dropJoiners(func(j *joiner) bool { return j.ID == from.ID })
	c.calls++
	j := &joiner{Member: from, number: c.calls, from: c.state.Snapshot(), more: true, heard: c.now}
	j.sent = snapshot{Snapshot: j.number, Sequence: c.snapshotSequence()}
	c.lead.joiners = append(c.lead.joiners, j)
	if !c.read(j) {
		return nil
	}
	return j
}

// snapshotSequence is up to which change a snapshot that begins now has all.
func (c *core) snapshotSequence() uint64 {
	if c.lead.put != nil {
		return c.last - 1
	}
	return c.last
}

// nextPiece reads the piece after the one that was sent last, and says whether there is one.
func (c *core) nextPiece(j *joiner) bool {
	if !j.more {
		return false
	}
	j.sent.Piece++
	return c.read(j)
}

func (c *core) read(j *joiner) bool {
	piece, more, err := j.from.Next()
	if err != nil {
		c.note("its state could not be read for %s: %v", j.ID, err)
		c.dropJoiners(func(other *joiner) bool { return other == j })
		return false
	}
	j.more = more
	j.sent.Epoch, j.sent.Data, j.sent.Last = c.view.Epoch, piece, !more
	return true
}

// joiner returns what is known of a peer that joins; nil if it does not.
func (c *core) joiner(peer Member) *joiner {
	for _, j := range c.lead.joiners {
		if j.Same(peer) {
			return j
		}
	}
	return nil
}

// dropJoiners ends the snapshots of some.
func (c *core) dropJoiners(which func(*joiner) bool) {
	c.lead.joiners = slices.DeleteFunc(c.lead.joiners, func(j *joiner) bool {
		if which(j) {
			j.from.Close()
			return true
		}
		return false
	})
}

// caughtUp is a joiner that has all that was put.
func (c *core) caughtUp() *joiner {
	for _, j := range c.lead.joiners {
		if j.synced == c.last {
			return j
		}
	}
	return nil
}

// nearlyCaughtUp says that a joiner lacks only the last PUT, whose ACK is likely on its way: the next one waits a moment
// for it, so that a node can join under load.
func (c *core) nearlyCaughtUp() bool {
	return c.now.Sub(c.lead.doneAt) < c.timing.Beat/2 && slices.ContainsFunc(c.lead.joiners, func(j *joiner) bool { return j.synced+1 == c.last })
}
