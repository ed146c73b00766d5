package limit

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Public is the owner of what is asked for without a credential: all such callers together.
const Public = ""

// GateConfig says how much a gate lets in. Weights are in any unit: requests, bytes.
type GateConfig struct {
	// Capacity is the weight that may be inside at once.
	Capacity int64
	// OwnerShare is what one organisation may have of it, and PublicShare what Public may have; 0 means
	// half of the capacity, and a quarter. What is heavier than a share enters when its owner has nothing
	// inside. FromShare is what of PublicShare those may have who come from one place; 0 means all.
	OwnerShare, PublicShare, FromShare int64
	// Reserved is the weight beside the capacity that only Urgent requests use, those of one owner half of it.
	Reserved int64
	// Waiting is how many requests may wait, and of them OwnerWaiting of one owner; 0 means half. As many that are Urgent
	// may wait besides, likewise. Without Waiting nobody waits.
	Waiting, OwnerWaiting int
	// Wait is how long one waits, unless its request says otherwise.
	Wait time.Duration
}

// Request is what somebody wants to bring through a gate.
type Request struct {
	Owner  string // an organisation, or Public
	From   string // where one of Public comes from, such as an address: those of each place count as an owner of their own too
	Weight int64  // at least 1
	// Urgent requests use the reserve too, and do not line up behind those of their owner that wait. Where
	// there is no room for one in either, it waits for the capacity like any other.
	Urgent bool
	// Wait is how long it waits, where that is not what the gate says; 0 means what the gate says.
	Wait time.Duration
}

// Gate bounds what is inside at once, in all and by owner, and who may wait for it, so that a load that
// cannot be served costs next to nothing and no owner keeps the others out. Room that becomes free goes
// to the waiting owner that has least inside, of several to each in turn, and to its requests in the order in which they came. A Gate
// is safe for concurrent use.
type Gate struct {
	config GateConfig

	mu      sync.Mutex
	inside  int64 // by the capacity; Urgent requests beyond it are in urgent
	urgent  int64
	public  int64            // of inside, Public's
	owners  map[party]*owner // those with something inside or waiting
	hurried []*waiter        // Urgent ones, in the order in which they came
	waiting int              // with those
	lined   int              // of waiting, Public's that are not Urgent
	turns   uint64           // that owners have been given
	refused uint64
}

// party is an owner or, of Public, those who come from one place.
type party struct{ owner, from string }

func (r *Request) party() party {
	if r.Owner == Public {
		return party{from: r.From}
	}
	return party{owner: r.Owner}
}

// owner is what one owner has at a gate.
type owner struct {
	inside  int64     // by the capacity
	urgent  int64     // by the reserve
	hurried int       // Urgent ones that wait
	waiting []*waiter // the others, in the order in which they came
	turn    uint64    // when it came to wait or, of those waiting, one was let in last
}

// waiter waits for room.
type waiter struct {
	request Request
	in      chan struct{} // closed when it has room
	pass    Pass          // once it has room
	entered bool
}

// NewGate makes a gate.
func NewGate(config GateConfig) *Gate {
	if config.OwnerShare <= 0 {
		config.OwnerShare = (config.Capacity + 1) / 2
	}
	if config.PublicShare <= 0 {
		config.PublicShare = (config.Capacity + 3) / 4
	}
	if config.OwnerWaiting <= 0 {
		config.OwnerWaiting = (config.Waiting + 1) / 2
	}
	if config.FromShare <= 0 {
		config.FromShare = config.PublicShare
	}
	return &Gate{config: config, owners: map[party]*owner{}}
}

// Pass is the right to be inside. Its zero value is none.
type Pass struct {
	gate    *Gate
	request Request
	reserve bool // it has its room from the reserve
}

// TryEnter lets a request in at once, or fails with ErrBusy or ErrShare. Who has a pass leaves by its
// Leave.
func (g *Gate) TryEnter(r Request) (Pass, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p, ok := g.admit(r); ok {
		return p, nil
	}
	return Pass{}, g.refuse(r)
}

// Enter is TryEnter for who waits for room if need be. It also fails with why ctx ended.
func (g *Gate) Enter(ctx context.Context, r Request) (Pass, error) {
	p, w, err := g.enterOrWait(r)
	if w == nil {
		return p, err
	}
	patience := time.NewTimer(cmp.Or(r.Wait, g.config.Wait))
	defer patience.Stop()
	select {
	case <-w.in:
		return w.pass, nil
	case <-patience.C:
		return g.giveUp(w, nil)
	case <-ctx.Done():
		return g.giveUp(w, context.Cause(ctx))
	}
}

func (g *Gate) enterOrWait(r Request) (Pass, *waiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p, ok := g.admit(r); ok {
		return p, nil, nil
	}
	o := g.owner(r.party())
	all, own := g.waiting-len(g.hurried), len(o.waiting)
	if r.Urgent {
		all, own = len(g.hurried), o.hurried
	}
	if all >= g.config.Waiting || own >= g.config.OwnerWaiting || g.crowded(r, own) {
		err := g.refuse(r)
		g.forget(r.party(), o)
		return Pass{}, nil, err
	}
	w := &waiter{request: r, in: make(chan struct{})}
	if r.Urgent {
		g.hurried = append(g.hurried, w)
		o.hurried++
	} else {
		if len(o.waiting) == 0 {
			g.lineUp(o)
		}
		o.waiting = append(o.waiting, w)
		g.lined += w.public()
	}
	g.waiting++
	return Pass{}, w, nil
}

// crowded reports whether as many of Public wait as may, or from a request's place, of which own wait, half as many.
func (g *Gate) crowded(r Request, own int) bool {
	return r.Owner == Public && !r.Urgent && (g.lined >= g.config.OwnerWaiting || r.From != "" && own >= (g.config.OwnerWaiting+1)/2)
}

// public is how many of Public's requests a waiter is.
func (w *waiter) public() int {
	if w.request.Owner == Public {
		return 1
	}
	return 0
}

// giveUp ends a wait, unless it was over already: then the waiter has room, which it gives back where it
// is asked to end with an error.
func (g *Gate) giveUp(w *waiter, cause error) (Pass, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case w.entered && cause == nil:
		return w.pass, nil
	case w.entered:
		g.leave(w.pass)
		return Pass{}, cause
	}
	g.waiting--
	o := g.owners[w.request.party()]
	if w.request.Urgent {
		g.hurried = without(g.hurried, w)
		o.hurried--
	} else {
		o.waiting = without(o.waiting, w)
		g.lined -= w.public()
	}
	defer g.forget(w.request.party(), o)
	if cause == nil {
		cause = g.refuse(w.request)
	}
	return Pass{}, cause
}

func without(waiting []*waiter, w *waiter) []*waiter {
	at := slices.Index(waiting, w)
	return slices.Delete(waiting, at, at+1)
}

// Leave gives the room back. On a pass that has left, or that is none, it does nothing.
func (p *Pass) Leave() {
	if p.gate == nil {
		return
	}
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leave(*p)
	*p = Pass{}
}

// leave is Leave for who holds the lock.
func (g *Gate) leave(p Pass) {
	o := g.owners[p.request.party()]
	if p.reserve {
		g.urgent -= p.request.Weight
		o.urgent -= p.request.Weight
	} else {
		g.take(p.request, -p.request.Weight)
	}
	g.forget(p.request.party(), o)
	for len(g.hurried) > 0 && g.admitHurried() {
	}
	for g.waiting > len(g.hurried) && g.admitNext() {
	}
}

// admitHurried lets an Urgent request in that waits and for which there is room, that of the owner with least inside, and
// reports whether there was one: who revokes without end keeps nobody else's revocation waiting.
func (g *Gate) admitHurried() bool {
	next, least := -1, int64(0)
	for i, w := range g.hurried {
		o := g.owners[w.request.party()]
		if has := o.inside + o.urgent; (next < 0 || has < least) && (g.fits(w.request) || g.fitsReserve(w.request)) {
			next, least = i, has
		}
	}
	if next < 0 {
		return false
	}
	w := g.hurried[next]
	g.hurried = slices.Delete(g.hurried, next, next+1)
	g.owners[w.request.party()].hurried--
	pass, _ := g.admit(w.request)
	g.enter(w, pass)
	return true
}

// enter tells a waiter that it has room.
func (g *Gate) enter(w *waiter, pass Pass) {
	g.waiting--
	w.pass, w.entered = pass, true
	close(w.in)
}

// admit gives room to a request if there is some for its owner and none of its owner has waited longer. The
// caller holds the lock, as for all that follows up to InUse.
func (g *Gate) admit(r Request) (Pass, bool) {
	if g.fits(r) && (r.Urgent || len(g.owner(r.party()).waiting) == 0) {
		g.take(r, r.Weight)
		return Pass{gate: g, request: r}, true
	}
	if r.Urgent && g.fitsReserve(r) {
		g.urgent += r.Weight
		g.owner(r.party()).urgent += r.Weight
		return Pass{gate: g, request: r, reserve: true}, true
	}
	return Pass{}, false
}

// fitsReserve reports whether there is room for an Urgent request beside the capacity.
func (g *Gate) fitsReserve(r Request) bool {
	if g.urgent+r.Weight > g.config.Reserved {
		return false
	}
	o := g.owners[r.party()]
	return o == nil || o.urgent == 0 || o.urgent+r.Weight <= (g.config.Reserved+1)/2
}

// take counts a weight, negative where it leaves, as a request's.
func (g *Gate) take(r Request, weight int64) {
	g.inside += weight
	g.owner(r.party()).inside += weight
	if r.Owner == Public {
		g.public += weight
	}
}

// fits reports whether there is room for a request. What weighs more than all there is enters alone.
func (g *Gate) fits(r Request) bool {
	if g.inside > 0 && g.inside+r.Weight > g.config.Capacity {
		return false
	}
	return !g.pastShare(r)
}

// pastShare reports whether a request is more than its owner may have. One enters where its owner has nothing inside.
func (g *Gate) pastShare(r Request) bool {
	o, share := g.owners[r.party()], g.config.OwnerShare
	if r.Owner == Public {
		if g.public > 0 && g.public+r.Weight > g.config.PublicShare {
			return true
		}
		share = g.config.FromShare
	}
	return o != nil && o.inside > 0 && o.inside+r.Weight > share
}

// lineUp puts an owner behind all others that wait.
func (g *Gate) lineUp(o *owner) {
	g.turns++
	o.turn = g.turns
}

// admitNext lets in the first request of one owner, the one with least inside of those whose first request
// has room, of several the one whose turn it is, and reports whether there was one.
func (g *Gate) admitNext() bool {
	var next *owner
	for _, o := range g.owners {
		if len(o.waiting) > 0 && g.fits(o.waiting[0].request) && (next == nil || o.before(next)) {
			next = o
		}
	}
	if next == nil {
		return false
	}
	w := next.waiting[0]
	next.waiting = slices.Delete(next.waiting, 0, 1)
	g.lineUp(next)
	g.lined -= w.public()
	g.take(w.request, w.request.Weight)
	g.enter(w, Pass{gate: g, request: w.request})
	return true
}

// before reports whether an owner that waits comes before another one.
func (o *owner) before(other *owner) bool {
	return cmp.Or(cmp.Compare(o.inside, other.inside), cmp.Compare(o.turn, other.turn)) < 0
}

func (g *Gate) owner(of party) *owner {
	o := g.owners[of]
	if o == nil {
		o = &owner{}
		g.owners[of] = o
	}
	return o
}

// forget drops an owner that has nothing at the gate.
func (g *Gate) forget(of party, o *owner) {
	if o.inside+o.urgent == 0 && o.hurried+len(o.waiting) == 0 {
		delete(g.owners, of)
	}
}

// refuse counts a refusal and says why it is one.
func (g *Gate) refuse(r Request) error {
	g.refused++
	if g.pastShare(r) {
		return ErrShare
	}
	return ErrBusy
}

// InUse returns the weight that is inside, by the capacity and the reserve.
func (g *Gate) InUse() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int(g.inside + g.urgent)
}

// Stats returns how full the gate is, under a name.
func (g *Gate) Stats(name string) Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{Name: name, Capacity: int(g.config.Capacity), InUse: int(g.inside + g.urgent), Waiting: g.waiting, Refused: g.refused}
}
