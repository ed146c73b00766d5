package replica

import (
	"slices"
	"time"
)

const (
	// sequenceBits is how many of a sequence's bits count the changes of a reign; those above are its term. A reign of
	// 5,000 changes a second fills them in seven years.
	sequenceBits = 40
	// maxWaiting is how many bytes of changes wait to be committed at most, and maxPut how many go in one PUT, unless a single
	// proposal has more.
	maxWaiting, maxPut = 64 << 20, 1 << 20
)

// commits is what a leader commits, one PUT after the other.
type commits struct {
	// whole says that the state is loaded from the store, because nobody else was there to have it from.
	whole bool
	// recovering and recovered tell how far State.Recover has got; open, that what it found is with everybody. Only
	// then proposals are taken and nodes join.
	recovering, recovered, open bool
	put                         *putting
	waiting                     []proposed
	bytes                       int     // of what waits
	doneAt                      Instant // when the last PUT was committed
}

// putting is the one PUT that is under way.
type putting struct {
	put
	proposals []uint64
	acks      []string // of the followers
	began     Instant  // when it was sent first
	sentAt    Instant
}

// committable returns the term in which this node may commit now, 0 for none.
func (c *core) committable(now Instant) uint64 {
	if c.lead == nil || !c.lead.open || c.lead.leaving || !c.active() || now >= c.rightUntil() {
		return 0
	}
	return c.view.Term
}

// propose takes changes that are in the store.
func (c *core) propose(e proposed) {
	size := sizeOf(e.changes)
	switch {
	case c.lead == nil || !c.lead.open:
		c.do(answer{e.id, ErrNotLeader})
	case e.term != c.view.Term:
		c.do(answer{e.id, ErrUncertain})
	case c.lead.bytes > 0 && c.lead.bytes+size > maxWaiting:
		c.do(answer{e.id, ErrBusy})
	default:
		c.lead.waiting = append(c.lead.waiting, e)
		c.lead.bytes += size
		c.advance()
	}
}

// advance does what can be done: commits the PUT that all have, takes in a node that has caught up, sends the next PUT.
func (c *core) advance() {
	for c.lead != nil && c.lead.change == nil && c.active() {
		l := c.lead
		switch {
		case !l.recovered:
			c.recover()
			return
		case l.put != nil:
			if !c.commit() {
				return
			}
		case l.open && c.caughtUp() != nil:
			j := c.caughtUp()
			c.changeView(nil, j, j.ID+" joined")
		case len(l.waiting) == 0 || l.open && c.nearlyCaughtUp():
			return
		default:
			c.putNext()
		}
	}
}

// recover brings what the store has, and not everybody, to all. It begins when nobody else can commit any more.
func (c *core) recover() {
	switch l := c.lead; {
	case l.recovering:
	case !l.whole && !c.broken.keeps(recoverFirst):
		l.recovered, l.open = true, true
	default:
		l.recovering = true
		c.do(recoverState{c.view.Term, l.whole})
	}
}

// recovered is the end of State.Recover. What it found is the first that is put in this reign, in as many PUTs as it takes.
func (c *core) recovered(e recovered) {
	l := c.lead
	if l == nil || e.term != c.view.Term || l.recovered {
		return
	}
	l.recovered = true
	if l.whole {
		c.enter()
	}
	c.note("has recovered: %d changes for all", len(e.changes))
	l.bytes = sizeOf(e.changes)
	l.waiting = []proposed{{term: e.term}} // one at least, with which all that is pending is opened
	for _, change := range e.changes {
		l.waiting = append(l.waiting, proposed{term: e.term, changes: []Change{change}})
	}
	c.advance()
}

// putNext sends what waits to all members, and to who joins.
func (c *core) putNext() {
	l := c.lead
	c.last++
	l.put = &putting{put: put{Epoch: c.view.Epoch, Sequence: c.last}, began: c.now}
	for size := 0; len(l.waiting) > 0; l.waiting = l.waiting[1:] {
		next := l.waiting[0]
		own := sizeOf(next.changes)
		if size > 0 && size+own > c.maxPut {
			break
		}
		size += own
		l.bytes -= own
		l.put.Changes = append(l.put.Changes, next.changes...)
		l.put.proposals = append(l.put.proposals, next.id)
	}
	for _, j := range l.joiners {
		c.sendPut(j.Member)
	}
	c.resendPut(0)
}

// resendPut sends the PUT that is under way to who has not acknowledged it, if it was last sent some time ago.
func (c *core) resendPut(after time.Duration) {
	l := c.lead
	if l.put == nil || c.now.Sub(l.put.sentAt) < after {
		return
	}
	l.put.sentAt = c.now
	for _, f := range l.followers {
		if !slices.Contains(l.put.acks, f.ID) {
			c.sendPut(f.Member)
		}
	}
}

func (c *core) sendPut(to Member) {
	p := c.lead.put.put
	p.Epoch = c.view.Epoch
	c.send(to, &p)
}

// onPut is a leader's changes, to a follower or to a node that joins.
func (c *core) onPut(from Member, m *put) {
	switch {
	case c.follow != nil:
		c.followerPut(from, m)
	case c.out != nil:
		c.joinerPut(from, m)
	}
}

// onAck says that a follower, or a node that joins, has applied a PUT. Of a follower it counts whatever the epoch in which it was
// sent: a sequence is put once in all reigns, nobody is taken in while a PUT is under way, and a member keeps what it has
// applied as long as it is one. So who has acknowledged in an earlier view of this reign, and is a member of this one, has it.
func (c *core) onAck(from Member, m *ack) {
	if c.lead == nil {
		return
	}
	if j := c.joiner(from); j != nil {
		j.synced, j.heard = m.Sequence, c.now
	}
	f, p := c.follower(from), c.lead.put
	if f != nil && p != nil && p.Sequence == m.Sequence && !slices.Contains(p.acks, f.ID) {
		p.acks = append(p.acks, f.ID)
		f.heard = c.now
	}
	c.advance()
}

// commit opens and acknowledges the PUT that is under way, if every member has it and the leader has its right.
func (c *core) commit() bool {
	l := c.lead
	for _, f := range l.followers {
		if !slices.Contains(l.put.acks, f.ID) && c.broken.keeps(ackAll) {
			return false
		}
	}
	if !c.hasRight() && c.broken.keeps(actRight) {
		return false // the tick tries again
	}
	done := l.put
	l.put, l.doneAt = nil, c.now
	if l.open = l.open || len(l.waiting) == 0; !l.open && c.broken.keeps(openAtOnce) {
		// More follows of what was recovered. With its last part all is opened, what was pending in the reign before too.
		c.state.Apply(done.Sequence, done.Changes, true)
		return true
	}
	c.state.Apply(done.Sequence, done.Changes, false)
	c.opened = done.Sequence
	c.state.Open(done.Sequence)
	for _, id := range done.proposals {
		c.answer(id, nil)
	}
	c.beatAll()
	return true
}

func (c *core) answer(id uint64, err error) {
	if id != 0 { // what was recovered has nobody who waits
		c.do(answer{id, err})
	}
}

// abandonLead answers who waits for a leader that is one no more.
func (c *core) abandonLead() {
	l := c.lead
	if l.put != nil {
		for _, id := range l.put.proposals {
			c.answer(id, ErrUncertain)
		}
	}
	for _, p := range l.waiting {
		c.answer(p.id, ErrUncertain)
	}
	c.dropJoiners(func(*joiner) bool { return true })
	if l.recovering && !l.recovered {
		c.do(endRecovery{})
	}
}

func sizeOf(changes []Change) int {
	size := 0
	for _, c := range changes {
		size += len(c.Data) + 1
	}
	return size
}
