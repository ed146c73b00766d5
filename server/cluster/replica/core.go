package replica

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// core is the protocol of one node, without goroutines, clock or network: an event goes in at an instant, and effects
// come out. At any time the node is exactly one of three: outside, following or leading.
type core struct {
	self    Member // ID, Incarnation and Addr
	cluster string
	timing  Timing
	state   State
	random  *rand.Rand
	broken  broken
	maxPut  int // maxPut, in the service

	now     Instant // of the step that runs: may have passed a while ago, but nothing it is compared with is later
	born    Instant
	ticked  Instant // when the last tick was
	effects []effect
	calls   uint64
	served  bool // what State.Serving was told last

	// view is the one that the node adopted last.
	view View
	// left: the node takes part in no view up to this one. It never goes down.
	left uint64
	// complete says that the state has all that a member of the view must have. Only then the node serves.
	complete bool
	// last is the sequence of the change that was applied last (by a leader: put last), opened the last one that may be shown.
	last, opened uint64

	out    *outside
	follow *following
	lead   *leading
}

func newCore(self Member, cluster string, timing Timing, state State, random *rand.Rand, now Instant) *core {
	c := &core{self: self, cluster: cluster, timing: timing, state: state, random: random, maxPut: maxPut, now: now, born: now, ticked: now}
	c.out = &outside{silent: now}
	return c
}

// step takes an event at an instant that the clock showed after the event had happened, and returns what is to be done.
// The effects' slices are the caller's until the next step.
func (c *core) step(now Instant, e event) []effect {
	c.now, c.effects = now, c.effects[:0]
	switch e := e.(type) {
	case tick:
		c.tick()
	case received:
		c.receive(e.from, e.message)
	case looked:
		c.looked(e)
	case swapped:
		c.swapped(e)
	case proposed:
		c.propose(e)
	case recovered:
		c.recovered(e)
	case leaveAsked:
		c.leave()
	case stepDownAsked:
		if c.lead != nil && c.view.Term == e.term {
			c.stepDown(e.why)
		}
	case warned:
		c.do(noted{e.text, true})
	}
	if may := c.now < c.serveUntil(); may != c.served {
		c.served = may
		c.state.Serving(may)
	}
	return c.effects
}

// tick is the protocol's own clock. A process that was stopped cannot tell who is silent: it listens anew.
func (c *core) tick() {
	slept := c.now.Sub(c.ticked) > c.timing.FollowerSilence/2
	c.ticked = c.now
	switch {
	case c.lead != nil:
		if slept {
			c.lead.listenAnew(c.now)
		}
		c.leaderTick()
	case c.follow != nil:
		if slept {
			c.follow.heard = c.now
		}
		c.followerTick()
	default:
		c.outsideTick()
	}
}

func (c *core) receive(from Member, m message) {
	if from.ID == c.self.ID {
		return
	}
	switch m := m.(type) {
	case *beat:
		c.onBeat(from, m)
	case *echo:
		c.onEcho(from, m)
	case *put:
		c.onPut(from, m)
	case *ack:
		c.onAck(from, m)
	case *join:
		c.onJoin(from, m)
	case *snapshot:
		c.onSnapshot(from, m)
	case *leave:
		c.onLeave(from, m)
	}
}

// looked is the register's answer to a look.
func (c *core) looked(e looked) {
	switch {
	case c.lead != nil && c.lead.look.ended(e.call):
		c.leaderLooked(e)
	case c.follow != nil && c.follow.look.ended(e.call):
		c.followerLooked(e)
	case c.out != nil && c.out.look.ended(e.call):
		c.outsideLooked(e)
	}
}

// swapped is the register's answer to a swap.
func (c *core) swapped(e swapped) {
	switch {
	case c.lead != nil && c.lead.change != nil && c.lead.change.call.ended(e.call):
		c.changeSwapped(e)
	case c.follow != nil && c.follow.take != nil && c.follow.take.call.ended(e.call):
		c.takeoverSwapped(e)
	case c.out != nil && c.out.take != nil && c.out.take.call.ended(e.call):
		c.outsideSwapped(e)
	}
}

// rightUntil is when the node's right ends, its leader's or its follower's: before, nobody has committed what it has not.
func (c *core) rightUntil() Instant {
	switch {
	case c.lead != nil:
		return c.lead.rightUntil(c.timing)
	case c.follow != nil:
		return c.follow.right
	}
	return 0
}

// serveUntil is when the node must stop to serve.
func (c *core) serveUntil() Instant {
	switch {
	case !c.complete:
		return 0
	case !c.broken.keeps(readRight):
		return math.MaxInt64
	}
	return c.rightUntil()
}

func (c *core) hasRight() bool { return c.now < c.rightUntil() }

// goOutside ends the node's part in its view, for good.
func (c *core) goOutside(why string) {
	c.note("outside: %s", why)
	c.left = max(c.left, c.view.Epoch)
	if c.lead != nil {
		c.abandonLead()
	}
	c.lead, c.follow, c.complete = nil, nil, false
	c.out = &outside{silent: c.now, peers: c.view.without(c.self.ID)}
}

func (c *core) do(e effect) { c.effects = append(c.effects, e) }

func (c *core) send(to Member, m message) {
	if to.ID != c.self.ID && to.ID != "" {
		c.do(send{to, m})
	}
}

func (c *core) note(format string, args ...any) { c.do(noted{text: fmt.Sprintf(format, args...)}) }
