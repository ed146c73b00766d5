package replica

import "time"

// outside is a node that takes part in no view: it looks at the register for a leader to join, or finds that nobody leads.
type outside struct {
	look   call
	seen   Seen
	silent Instant // when the register last changed, or a leader was heard
	join   joining
	take   *takeover
	// leaving says that the node wants to stay outside: peers are told until they have gone on without it.
	leaving bool
	peers   []Member
	empty   View // which a node that was alone leaves behind
	gone    bool // they have
	warned  bool // why the node cannot take part was said
	// knocked is the leader of another cluster's nodes to whom it was said that this node is there.
	knocked Member
}

// joining is how far a node has got that asks a leader to take it in.
type joining struct {
	leader   Member
	snapshot uint64 // the leader's number of it; 0 before its first piece has come
	next     uint32 // the piece that is wanted
	loaded   bool   // all pieces have come
	synced   uint64 // the sequence up to which changes were followed, of those that began with the snapshot
	asked    Instant
}

// wentBack is why a node stops when its register has an older view than it knows.
const wentBack = "the register has an older view than before: it was restored from a backup, or is another cluster's; restart all nodes"

func (c *core) outsideTick() {
	o := c.out
	if !o.look.runs && c.now.Sub(o.look.began) >= c.timing.Look/2 {
		c.do(look{c.begin(&o.look)})
	}
	switch {
	case o.leaving:
		c.sayLeft()
		c.swapEmpty()
	case o.join.leader.ID != "" && c.now.Sub(o.join.asked) >= 2*c.timing.Beat:
		c.askToJoin()
	}
}

// outsideLooked is what the register says to a node outside.
func (c *core) outsideLooked(e looked) {
	o, v := c.out, e.seen.View
	if e.err != nil || o.take != nil || !c.usable(v) {
		return
	}
	beats := e.seen.Beat != o.seen.Beat && v.Epoch == o.seen.View.Epoch
	if beats || v.Epoch != o.seen.View.Epoch {
		o.seen, o.silent = e.seen, c.now
	}
	if !v.Has(c.self) {
		c.left = max(c.left, v.Epoch) // a process that was never in it will never be
	}
	if o.leaving {
		o.gone = !v.Has(c.self)
		return
	}
	patience := c.timing.Outside + time.Duration(c.random.Int64N(int64(4*c.timing.Rank)+1))
	if c.nobodyElse(v) || c.now.Sub(o.silent) > patience {
		c.takeFromOutside(v)
		return
	}
	if beats && v.Leader == c.self.ID {
		c.warn("a node at " + v.Lead().Addr + " has the same ID and leads: was its data directory copied? remove the file of the ID in the copy")
	}
	if leader := v.Lead(); leader.ID != c.self.ID && !leader.Same(o.join.leader) {
		o.join = joining{leader: leader}
		c.askToJoin()
	}
}

// usable says whether the register is this cluster's, and has not lost what this node knows.
func (c *core) usable(v View) bool {
	why := ""
	switch {
	case v.Epoch != 0 && v.Cluster != c.cluster:
		why = "the register is that of nodes with another key: all nodes of a cluster share the issuer's key file"
		c.knock(v.Lead())
	case v.Epoch < c.left:
		why = wentBack
	}
	c.warn(why)
	return why == ""
}

// warn says once why the node cannot take part.
func (c *core) warn(why string) {
	if why != "" && !c.out.warned {
		c.out.warned = true
		c.do(noted{"outside: " + why, true})
	}
}

// knock has the leader of nodes with another key find out that this node is there, so that those who run them can read it too: the
// network between two keys ends the connection, and both sides say why. Were the message to arrive, it would say nothing but that
// this node takes part in no view.
func (c *core) knock(leader Member) {
	if !leader.Same(c.out.knocked) {
		c.out.knocked = leader
		c.send(leader, &leave{Left: c.left})
	}
}

// nobodyElse says that nobody can lead: there is no member, or only an earlier process of this node. That one is dead, unless
// the data directory was copied; then it has another address, and its beats show in time that it lives.
func (c *core) nobodyElse(v View) bool {
	return len(v.Members) == 0 || len(v.Members) == 1 && v.Members[0].ID == c.self.ID && v.Members[0].Addr == c.self.Addr
}

// takeFromOutside makes a view of this node alone. It has heard of no member: so those may serve for the long term, unless an
// earlier process of this node was one of them, without whose ECHO nobody has had a right for longer than a term.
func (c *core) takeFromOutside(old View) {
	o := c.out
	o.silent = c.now
	next := View{Cluster: c.cluster, Epoch: old.Epoch + 1, Term: old.Epoch + 1, Leader: c.self.ID, Why: "no leader answered and " + c.self.ID + " began alone"}
	me := c.self
	me.Since, me.Joined = next.Epoch, 0
	next.Members = []Member{me}
	earlier, was := old.Member(c.self.ID)
	mine := was && earlier.Incarnation != c.self.Incarnation
	var waits []wait
	for _, m := range old.without(c.self.ID) {
		waits = append(waits, wait{id: m.ID, hard: !mine})
	}
	for _, f := range old.Former {
		if f.ID != c.self.ID && c.broken.keeps(inheritFormer) {
			waits = with(waits, wait{id: f.ID, hard: f.Hard})
		}
	}
	next.Former = formerOf(waits)
	o.take = &takeover{next: next, waits: waits}
	c.note("begins alone after epoch %d", old.Epoch)
	c.do(swap{c.begin(&o.take.call), old.Epoch, next})
}

// swapEmpty leaves an empty view behind, if that is to be and was not done yet.
func (c *core) swapEmpty() {
	if o := c.out; o.empty.Epoch != 0 && o.take == nil && !o.gone {
		o.take = &takeover{next: o.empty}
		c.do(swap{c.begin(&o.take.call), o.empty.Epoch - 1, o.empty})
	}
}

// outsideSwapped is the register's answer to who begins alone, or leaves an empty view.
func (c *core) outsideSwapped(e swapped) {
	take := c.out.take
	c.out.take = nil
	if c.out.leaving {
		c.out.gone = e.err == nil && !e.view.Has(c.self)
		return
	}
	if e.err != nil || !e.view.Equal(take.next) {
		return // whatever came of it, the next look shows it
	}
	from := c.now
	if !c.broken.keeps(waitFromSwap) {
		from = c.born
	}
	for i, w := range take.waits {
		take.waits[i].until = from.Add(c.timing.padded(2 * c.timing.Term))
		if w.hard && c.broken.keeps(hardWait) {
			take.waits[i].until = from.Add(c.hardTerm())
		}
	}
	c.forget()
	c.becomeLeader(take.next, take.call.began, take.waits, true)
}

// hardTerm is for how long a leader whom nobody has heard may commit, and its followers serve.
func (c *core) hardTerm() time.Duration { return c.timing.padded(c.timing.LongTerm + 2*c.timing.Term) }

// forget empties the state, which is loaded anew.
func (c *core) forget() {
	c.complete, c.last, c.opened = false, 0, 0
	c.state.Reset()
}

// askToJoin asks the leader for the next piece, or says that all has come.
func (c *core) askToJoin() {
	j := &c.out.join
	j.asked = c.now
	if j.loaded {
		c.send(j.leader, &ack{Sequence: j.synced})
	}
	c.send(j.leader, &join{Left: c.left, Snapshot: j.snapshot, Piece: j.next})
}

// joinAnew begins the joining again.
func (c *core) joinAnew() {
	c.out.join = joining{leader: c.out.join.leader}
	c.askToJoin()
}

// onSnapshot loads a piece of a leader's state.
func (c *core) onSnapshot(from Member, m *snapshot) {
	if c.out == nil || c.out.leaving || !c.out.join.leader.Same(from) || c.out.take != nil {
		return
	}
	o, j := c.out, &c.out.join
	o.silent = c.now
	if m.Snapshot > j.snapshot && m.Piece == 0 {
		c.forget()
		*j = joining{leader: j.leader, snapshot: m.Snapshot, synced: m.Sequence}
		c.last = m.Sequence
	}
	if m.Snapshot != j.snapshot || m.Piece != j.next || j.loaded {
		return
	}
	if err := c.state.Load(m.Data); err != nil {
		c.note("a piece of %s's state could not be loaded: %v", from.ID, err)
		c.joinAnew()
		return
	}
	j.next++
	j.loaded = m.Last
	c.askToJoin()
}

// joinerPut follows the changes that the leader makes meanwhile.
func (c *core) joinerPut(from Member, m *put) {
	j := &c.out.join
	if !j.leader.Same(from) || j.snapshot == 0 {
		return
	}
	switch {
	case m.Sequence > j.synced+1:
		c.joinAnew() // one was lost
		return
	case m.Sequence == j.synced+1:
		c.state.Apply(m.Sequence, m.Changes, true)
		j.synced, c.last = m.Sequence, m.Sequence
	}
	if j.loaded {
		c.send(from, &ack{Epoch: m.Epoch, Sequence: j.synced})
	}
}

// hasJoined says whether the state is what a view's leader takes it to be.
func (c *core) hasJoined(sequence uint64) bool {
	j := c.out.join
	return j.loaded && j.synced == sequence || !c.broken.keeps(joinExact)
}

// leave takes the node out of its view for good. A leader that has followers hands over by it: who hears that it has
// left takes over at once. One that is alone leaves an empty view.
func (c *core) leave() {
	switch {
	case c.lead != nil:
		c.lead.leaving = true
		c.leaveLead()
	case c.follow != nil:
		c.goOutside("it was asked to leave")
		fallthrough
	default:
		c.out.leaving = true
		c.sayLeft()
	}
}

// sayLeft tells who may still count on this node.
func (c *core) sayLeft() {
	for _, p := range c.out.peers {
		c.send(p, &leave{Left: c.left})
	}
}

// onLeave is a node that has left.
func (c *core) onLeave(from Member, m *leave) {
	switch {
	case c.lead != nil:
		c.leaderHeardLeave(from, m.Left)
	case c.follow != nil && c.view.Lead().Same(from) && m.Left >= c.view.Epoch && c.follow.abandoned == 0:
		c.note("%s has left epoch %d", from.ID, c.view.Epoch)
		c.follow.abandoned = c.now
		c.followerTick()
	}
}

func timesOf(n int) time.Duration { return time.Duration(n) }
