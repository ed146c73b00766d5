package replica

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// leading is a node that leads: it alone commits.
type leading struct {
	followers []*follower
	// promised is when each node, a removed one too, was last promised something in this reign.
	promised map[string]Instant
	// waits are who may still serve by an earlier view.
	waits []wait
	beats sendings
	// beatAt is when BEATs are due, and registerAt when the register's is.
	beatAt, registerAt Instant
	look               call
	lookedAt           Instant // when the last look began that was answered and showed this view
	change             *change
	commits
	joiners []*joiner
	leaving bool
}

// follower is what a leader knows of a follower.
type follower struct {
	Member
	// right is until when the leader may act as far as this follower is concerned: a term after it sent the last BEAT
	// that the follower answered. While it lasts the follower has not helped another leader.
	right Instant
	echo  uint64  // the newest ECHO in this epoch; 0 before the first, by which it has adopted the view
	heard Instant // when it was heard last
}

// wait is who may serve by an earlier view, until an instant.
type wait struct {
	id    string
	until Instant
	hard  bool
}

// change is a leader on its way to its next view.
type change struct {
	next    View
	waits   []wait
	removes []string
	call    call
}

// becomeLeader installs a view that this node leads, after a swap that began at an instant and has succeeded. From then
// the leader's right counts: whoever replaces this view must have seen it first. In the node's own next view (same reign)
// what it has under way goes on.
func (c *core) becomeLeader(v View, began Instant, waits []wait, whole bool) {
	l := c.lead
	if l == nil {
		l = &leading{promised: map[string]Instant{}, commits: commits{whole: whole}}
		if c.broken.keeps(sequenceByTerm) {
			c.last = max(c.last, v.Term<<sequenceBits)
		}
	}
	if !c.broken.keeps(rememberPromises) {
		l.promised = map[string]Instant{}
	}
	l.followers = nil
	for _, m := range v.without(c.self.ID) {
		l.followers = append(l.followers, &follower{Member: m, right: began.Add(c.timing.Term), heard: c.now})
	}
	l.waits, l.lookedAt, l.change = waits, began, nil
	c.view, c.left, c.lead, c.follow, c.out = v, v.Epoch-1, l, nil, nil
	c.dropJoiners(func(j *joiner) bool { return v.Has(j.Member) })
	c.note("leads epoch %d with %s", v.Epoch, names(v.Members))
	c.beatAll()
	c.resendPut(0)
	c.advance()
}

// rightUntil is when the leader must stop to act: a term after what the most silent follower has answered, or the
// long term after its last look at the register. Alone, it has only the register.
func (l *leading) rightUntil(t Timing) Instant {
	if len(l.followers) == 0 {
		return l.lookedAt.Add(t.Term)
	}
	until := l.lookedAt.Add(t.LongTerm)
	for _, f := range l.followers {
		until = min(until, f.right)
	}
	return until
}

// active says whether the view may commit: all members have adopted it, and nobody else can serve by an earlier one.
func (c *core) active() bool {
	for _, f := range c.lead.followers {
		if f.echo == 0 {
			return false
		}
	}
	return !slices.ContainsFunc(c.lead.waits, func(w wait) bool { return c.now < w.until })
}

func (c *core) beatAll() {
	c.lead.beatAt = c.now.Add(c.timing.Beat * 3 / 4)
	for _, f := range c.lead.followers {
		c.beat(f)
	}
	for _, j := range c.lead.joiners {
		c.send(j.Member, &beat{Epoch: c.view.Epoch, Promise: c.hasRight(), View: c.view})
	}
}

// beat sends a follower a BEAT, with a promise if the leader has its own right and the follower has adopted the view and
// is not being removed.
func (c *core) beat(f *follower) {
	l := c.lead
	removed := l.change != nil && slices.Contains(l.change.removes, f.ID) && c.broken.keeps(noPromiseToRemoved)
	promise := (c.hasRight() || !c.broken.keeps(promiseByRight)) && f.echo != 0 && !removed
	if promise {
		l.promised[f.ID] = c.now
	}
	number := l.beats.next(c.now, Instant(c.timing.Term))
	c.send(f.Member, &beat{Epoch: c.view.Epoch, Number: number, Echo: f.echo, Promise: promise, Opened: c.opened, View: c.view})
}

// onEcho is a follower's answer to a BEAT.
func (c *core) onEcho(from Member, m *echo) {
	f := c.follower(from)
	if f == nil || m.Epoch != c.view.Epoch {
		return
	}
	at, known := c.lead.beats.at(m.Beat)
	if !c.broken.keeps(fromSending) {
		at = c.now
	}
	if known {
		f.right = max(f.right, at.Add(c.timing.Term))
	}
	first := f.echo == 0
	f.echo, f.heard = max(f.echo, m.Number), c.now
	c.waitNoMoreFor(from.ID)
	if first {
		c.beat(f)
		c.resendPut(0)
	}
	c.advance()
}

// follower returns what is known of a peer that follows this node; nil if it does not.
func (c *core) follower(peer Member) *follower {
	if c.lead == nil {
		return nil
	}
	for _, f := range c.lead.followers {
		if f.Same(peer) {
			return f
		}
	}
	return nil
}

// waitNoMoreFor is told when a node takes part in no earlier view any more.
func (c *core) waitNoMoreFor(id string) {
	c.lead.waits = slices.DeleteFunc(c.lead.waits, func(w wait) bool { return w.id == id })
}

// leaderTick does what is due.
func (c *core) leaderTick() {
	l := c.lead
	if len(l.followers) > 0 && c.now >= l.lookedAt.Add(c.timing.LongTerm) {
		c.stepDown("the register has not answered for too long")
		return
	}
	if c.now >= l.beatAt {
		c.beatAll()
	}
	c.resendPut(2 * c.timing.Beat)
	c.askRegister()
	c.dropJoiners(func(j *joiner) bool { return c.now.Sub(j.heard) > 10*c.timing.FollowerSilence })
	switch {
	case l.change != nil && !l.change.call.runs:
		c.swapChange() // again: one that was made all the same is found by its own view
	case l.change == nil:
		c.removeSilent()
	}
	c.advance()
	c.leaveLead()
}

// askRegister looks whether the view still counts, and beats for those outside.
func (c *core) askRegister() {
	l, every := c.lead, c.timing.Look
	if len(l.followers) == 0 {
		every = min(every, c.timing.Term/4)
	}
	if l.change == nil && !l.look.runs && c.now.Sub(max(l.lookedAt, l.look.began.Add(-every*3/4))) >= every {
		c.do(look{c.begin(&l.look)})
	}
	if c.now >= l.registerAt {
		l.registerAt = c.now.Add(c.timing.RegisterBeat)
		c.do(beatRegister{c.view.Epoch})
	}
}

// leaderLooked is the register's answer: if it shows another's view the leader is deposed.
func (c *core) leaderLooked(e looked) {
	l, seen := c.lead, e.seen.View
	switch {
	case e.err != nil:
	case seen.Epoch > c.view.Epoch && seen.Leader == c.self.ID && seen.Has(c.self):
		// Its own swap, whose answer is on its way.
	case seen.Epoch > c.view.Epoch:
		c.goOutside(fmt.Sprintf("%s has begun epoch %d", seen.Leader, seen.Epoch))
	case seen.Epoch < l.look.epoch || seen.Epoch == c.view.Epoch && !seen.Equal(c.view):
		c.goOutside(wentBack)
	default:
		l.lookedAt = max(l.lookedAt, l.look.began)
		c.advance()
	}
}

// removeSilent begins a view without the followers that are silent. If most of the members are, it may be the leader itself
// that is cut off: it gives them the time to take over, and removes them when they have not.
func (c *core) removeSilent() {
	patience := c.timing.FollowerSilence
	silent := c.silentFor(patience)
	if 2*len(silent) > len(c.view.Members) {
		patience = c.timing.LeaderSilence + c.timing.Rank*timesOf(len(c.view.Members)) + c.timing.Beat
		silent = c.silentFor(patience)
	}
	if len(silent) > 0 {
		c.changeView(silent, nil, strings.Join(silent, " and ")+" did not answer for "+patience.String())
	}
}

// silentFor are the followers that were not heard for some time.
func (c *core) silentFor(d time.Duration) []string {
	var silent []string
	for _, f := range c.lead.followers {
		if c.now.Sub(f.heard) > d {
			silent = append(silent, f.ID)
		}
	}
	return silent
}

// changeView begins the leader's next view, without some members or with another one.
func (c *core) changeView(removes []string, joins *joiner, why string) {
	l, old := c.lead, c.view
	next := View{Cluster: c.cluster, Epoch: old.Epoch + 1, Term: old.Term, Leader: old.Leader, Members: slices.Clone(old.Members), Why: why}
	waits := slices.DeleteFunc(slices.Clone(l.waits), func(w wait) bool { return c.now >= w.until })
	for _, id := range removes {
		next.Members = next.without(id)
		if at, was := l.promised[id]; was && c.broken.keeps(waitForRemoved) {
			waits = with(waits, wait{id: id, until: at.Add(c.timing.padded(c.timing.Term))})
		}
	}
	if joins != nil {
		member := joins.Member
		member.Since, member.Joined = next.Epoch, c.last
		next.Members = next.with(member)
		waits = slices.DeleteFunc(waits, func(w wait) bool { return w.id == member.ID })
	}
	next.Former = formerOf(waits)
	l.change = &change{next: next, waits: waits, removes: removes}
	c.swapChange()
}

func (c *core) swapChange() {
	c.do(swap{c.begin(&c.lead.change.call), c.view.Epoch, c.lead.change.next})
}

// changeSwapped is the register's answer to a leader that changes its view.
func (c *core) changeSwapped(e swapped) {
	l := c.lead
	switch {
	case e.err != nil || e.view.Equal(c.view):
	case !e.view.Equal(l.change.next):
		c.goOutside(fmt.Sprintf("%s has begun epoch %d", e.view.Leader, e.view.Epoch))
	default:
		waits := slices.DeleteFunc(l.change.waits, func(w wait) bool {
			return !slices.ContainsFunc(l.waits, same(w)) && !slices.Contains(l.change.removes, w.id)
		})
		c.becomeLeader(l.change.next, l.change.call.began, waits, false)
	}
}

// leaderHeardLeave is a node that has left: it is waited for no more, and removed.
func (c *core) leaderHeardLeave(from Member, left uint64) {
	if left+1 >= c.view.Epoch || !c.broken.keeps(joinLeft) {
		c.waitNoMoreFor(from.ID)
	}
	if f := c.follower(from); f != nil && left >= c.view.Epoch && c.lead.change == nil {
		delete(c.lead.promised, from.ID) // it holds no right any more
		c.changeView([]string{from.ID}, nil, from.ID+" left")
	}
	c.advance()
}

// leaveLead ends a reign that has nothing under way: by leaving the followers to one of them, or an empty view.
func (c *core) leaveLead() {
	l := c.lead
	if !l.leaving || l.change != nil || l.open && (l.put != nil || len(l.waiting) > 0) {
		return
	}
	if len(l.followers) > 0 {
		c.stepDown("it was asked to leave")
		c.out.leaving = true
		return
	}
	empty := View{Cluster: c.cluster, Epoch: c.view.Epoch + 1, Term: c.view.Term, Former: formerOf(l.waits), Why: c.self.ID + " left and nobody else was there"}
	c.goOutside("it was asked to leave") // first: who finds the empty view begins at once
	c.out.leaving, c.out.empty = true, empty
	c.swapEmpty()
}

// stepDown leaves the lead to a follower.
func (c *core) stepDown(why string) {
	c.goOutside(why)
	c.sayLeft()
}

// listenAnew is said after the leader was stopped: what followers said meanwhile has not been read yet.
func (l *leading) listenAnew(now Instant) {
	for _, f := range l.followers {
		f.heard = now
	}
}

// formerOf are those that are waited for, as the register has them.
func formerOf(waits []wait) []Former {
	var former []Former
	for _, w := range waits {
		former = append(former, Former{ID: w.id, Hard: w.hard})
	}
	slices.SortFunc(former, func(a, b Former) int { return strings.Compare(a.ID, b.ID) })
	return former
}

// with returns waits with another one; of two for the same node the longer and the harder holds.
func with(waits []wait, w wait) []wait {
	for i := range waits {
		if waits[i].id == w.id {
			waits[i].until, waits[i].hard = max(waits[i].until, w.until), waits[i].hard || w.hard
			return waits
		}
	}
	return append(waits, w)
}

func same(w wait) func(wait) bool { return func(other wait) bool { return other.id == w.id } }

func names(members []Member) string {
	var ids []string
	for _, m := range members {
		ids = append(ids, m.ID)
	}
	return strings.Join(ids, ", ")
}
