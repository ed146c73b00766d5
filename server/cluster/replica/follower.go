package replica

import "fmt"

// following is a node that follows a leader. It is complete.
type following struct {
	// right is until when the node may serve: a term after it sent the ECHO that the leader's last promise names.
	right  Instant
	echoes sendings
	heard  Instant // when the leader was heard last
	look   call
	// abandoned is when the leader said that it has left; 0 if it has not.
	abandoned Instant
	take      *takeover
}

// takeover is a node on its way to lead: the view that it wants, and for whom it will wait.
type takeover struct {
	next  View
	waits []wait
	call  call
	tries int
}

// maxTries is how often a takeover whose swap got no answer is tried again.
const maxTries = 5

// onBeat is a leader's sign of life, to a member of its view or to who may adopt it.
func (c *core) onBeat(from Member, m *beat) {
	if c.lead != nil && m.Epoch > c.view.Epoch {
		c.goOutside(fmt.Sprintf("%s leads epoch %d", from.ID, m.Epoch))
	}
	hasLeft := m.Epoch <= c.left && (c.broken.keeps(leftStays) || c.follow == nil || m.Epoch != c.view.Epoch)
	if c.lead != nil || hasLeft || m.Epoch < c.view.Epoch || !m.View.Lead().Same(from) {
		return
	}
	if !m.View.Has(c.self) {
		if c.out != nil && m.Promise {
			c.out.silent = c.now // a leader lives that may act
		}
		return
	}
	if (c.follow == nil || m.Epoch > c.view.Epoch) && !c.adopt(m.View) {
		return
	}
	f := c.follow
	f.heard = c.now
	if m.Promise {
		c.promised(m.Echo)
	}
	if m.Opened > c.opened {
		c.opened = m.Opened
		c.state.Open(m.Opened)
	}
	c.send(from, &echo{Epoch: m.Epoch, Number: f.echoes.next(c.now, Instant(c.timing.Term)), Beat: m.Number})
}

// promised is the leader's promise, which counts from the sending of the ECHO that it answers.
func (c *core) promised(echo uint64) {
	at, known := c.follow.echoes.at(echo)
	if !c.broken.keeps(fromSending) {
		at = c.now
	}
	if known {
		c.follow.right = max(c.follow.right, at.Add(c.timing.Term))
	}
}

// adopt makes a view the node's own, if it can go on from what it has: as a complete member of its view and of each since, none
// of which has committed anything without its ECHO; or as one that has joined. It returns false otherwise; then the
// node will never take part in that view.
func (c *core) adopt(v View) bool {
	if c.out != nil && c.out.leaving {
		c.left = v.Epoch
		c.send(v.Lead(), &leave{Left: c.left}) // who made the view had not heard it yet
		return false
	}
	me, _ := v.Member(c.self.ID)
	continues := c.follow != nil && me.Since <= c.view.Epoch
	joins := c.out != nil && me.Since == v.Epoch && c.hasJoined(me.Joined)
	if !continues && !joins {
		c.left = v.Epoch
		c.goOutside(fmt.Sprintf("it cannot go on to epoch %d from what it has", v.Epoch))
		return false
	}
	before := c.follow
	c.follow = &following{heard: c.now}
	switch {
	case joins:
		c.enter()
	case c.view.Term == v.Term:
		// The leader is the same, and remembers its promises: the right goes on, and so do the numbers of the ECHOes.
		c.follow.right, c.follow.echoes = before.right, before.echoes
	case !c.broken.keeps(newLeaderNewRight):
		c.follow.right = before.right
	}
	c.view, c.left, c.out = v, v.Epoch-1, nil
	c.note("follows %s in epoch %d", v.Leader, v.Epoch)
	return true
}

// enter makes the node complete: it takes part from now on.
func (c *core) enter() {
	c.complete = true
	if c.broken.keeps(cachesCleared) {
		c.state.Joined()
	}
}

// followerPut applies changes, pending until the leader opens them, and acknowledges them.
func (c *core) followerPut(from Member, m *put) {
	hasLeft := m.Epoch <= c.left && c.broken.keeps(leftStays)
	if m.Epoch != c.view.Epoch || !c.view.Lead().Same(from) || hasLeft {
		return
	}
	c.follow.heard = c.now
	if m.Sequence > c.last {
		c.state.Apply(m.Sequence, m.Changes, c.broken.keeps(pendingWaits))
		c.last = m.Sequence
	}
	c.send(from, &ack{Epoch: m.Epoch, Sequence: m.Sequence})
}

// followerTick looks at the register when the leader is silent.
func (c *core) followerTick() {
	f := c.follow
	if f.take != nil {
		if !f.take.call.runs {
			c.swapTakeover()
		}
		return
	}
	if c.leaderIsSilent() && !f.look.runs {
		c.do(look{c.begin(&f.look)})
	}
}

// leaderIsSilent says whether it is this follower's turn to take over.
func (c *core) leaderIsSilent() bool {
	turn := c.timing.Rank * timesOf(c.view.rank(c.self.ID))
	if c.follow.abandoned != 0 {
		return c.now.Sub(c.follow.abandoned) >= turn
	}
	return c.now.Sub(c.follow.heard) >= c.timing.LeaderSilence+turn
}

// followerLooked is what the register says while the leader is silent.
func (c *core) followerLooked(e looked) {
	f, seen := c.follow, e.seen.View
	switch {
	case e.err != nil || f.take != nil:
	case seen.Epoch < f.look.epoch || seen.Epoch == c.view.Epoch && !seen.Equal(c.view):
		c.goOutside(wentBack)
	case seen.Epoch > c.view.Epoch && (!seen.Has(c.self) || seen.Leader == c.self.ID):
		c.goOutside(fmt.Sprintf("epoch %d has gone on without it", seen.Epoch))
	case seen.Epoch > c.view.Epoch:
		c.adopt(seen) // whose leader may have died before it could say so
	case seen.Epoch == c.view.Epoch && c.leaderIsSilent():
		c.takeOver()
	}
}

// takeOver leaves the view, and only then swaps it for one that this node leads: in the old one it neither echoes nor
// acknowledges any more, so that the old leader can commit nothing.
func (c *core) takeOver() {
	old := c.view
	if c.broken.keeps(leaveFirst) {
		c.left = old.Epoch
	}
	term := 2 * c.timing.Term
	if !c.broken.keeps(twoTerms) {
		term = c.timing.Term / 2
	}
	until := c.now.Add(c.timing.padded(term))
	var waits []wait
	for _, m := range old.without(c.self.ID) {
		if hasLeft := m.ID == old.Leader && c.follow.abandoned != 0; !hasLeft && c.broken.keeps(waitAllOfBefore) {
			waits = append(waits, wait{id: m.ID, until: until})
		}
	}
	for _, f := range old.Former {
		if c.broken.keeps(inheritFormer) && f.ID != c.self.ID {
			waits = with(waits, wait{id: f.ID, until: until, hard: f.Hard})
		}
	}
	next := View{Cluster: c.cluster, Epoch: old.Epoch + 1, Term: old.Epoch + 1, Leader: c.self.ID, Members: old.without(old.Leader),
		Former: formerOf(waits), Why: fmt.Sprintf("%s was silent and %s took over", old.Leader, c.self.ID)}
	if c.follow.abandoned != 0 {
		next.Why = fmt.Sprintf("%s left and %s took over", old.Leader, c.self.ID)
	}
	c.follow.take = &takeover{next: next, waits: waits}
	c.note("takes over from %s", old.Leader)
	c.swapTakeover()
}

func (c *core) swapTakeover() {
	take := c.follow.take
	c.do(swap{c.begin(&take.call), c.view.Epoch, take.next})
}

// takeoverSwapped is the register's answer to who takes over.
func (c *core) takeoverSwapped(e swapped) {
	take := c.follow.take
	switch {
	case e.err != nil:
		if take.tries++; take.tries > maxTries {
			c.goOutside("the register did not answer while it took over")
		}
	case e.view.Equal(take.next):
		c.left = max(c.left, c.view.Epoch)
		for i, w := range take.waits {
			if w.hard && c.broken.keeps(hardWait) {
				take.waits[i].until = c.now.Add(c.hardTerm())
			}
		}
		c.becomeLeader(take.next, take.call.began, take.waits, false)
	default:
		// Another one was first. It has left all the same, and waits for the winner's BEAT.
		c.follow.take, c.follow.heard, c.follow.abandoned = nil, c.now, 0
	}
}
