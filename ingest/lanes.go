package ingest

import (
	"math"
	"slices"
	"time"

	"lastseen/ingest/decode"
	"lastseen/schema"
)

// lanes are what waits for the committer, in two kinds.
//
// Usual requests bring points of these days that are not stored, or few that may be; whoever's they are, they
// share an insert, a group. Costly requests touch other months, look much up, bring points that are judged with
// stored neighbours while others write, or are large. They wait by organisation, and are written a slice at a
// time, each about as long as an insert takes anyway; organisations have slices in turn. Whenever both wait, a
// group follows a slice, and slices rest twice as long as they took while there are groups. So who brings a usual
// request waits for the step that runs, for one slice at most and for its own group, whatever the others bring.
// A request is answered when the last slice of it is written.
//
// While nobody else writes an organisation has steps as long as it likes, nearly. The requests that name one
// session keep their order, in whichever lane they are. lanes belong to the Writer's goroutine.
type lanes struct {
	committer *committer
	queue     *queue
	limits    limits
	answer    func(*request, error)

	usual   []*request // in the order in which they came
	load    int        // what they count for
	hurry   bool       // one of them is of somebody who writes alone
	reading int        // bodies that began to be read since the last group ended
	groups  pace

	tenants map[string]*tenant
	turns   []*tenant         // the same, in the order of their turns
	named   map[schema.ID]int // how many costly requests name a session
	month   time.Duration     // what a month of a slice took lately
	slices  pace

	grouped  bool // the last step was a group
	closed   bool // nothing will arrive any more: whoever waits is served as if alone
	company  company
	arrived  []*request // scratch, as what follows
	parts    []part
	written  []*request
	byTenant map[string]time.Duration
}

// tenant is an organisation's costly requests that wait, at least one.
type tenant struct {
	orgID    string
	requests []*request
	cost     time.Duration // by estimate
	find     time.Duration // what a look-up of its points took lately
	review   time.Duration // what reviewing a session of it took lately
}

// part is points of a request that are written in one step.
type part struct {
	*request
	points []decode.Point
}

func newLanes(c *committer, q *queue, l limits, interval time.Duration, answer func(*request, error)) lanes {
	return lanes{
		committer: c, queue: q, limits: l, answer: answer, groups: pace{interval: interval}, slices: pace{interval: interval},
		tenants: make(map[string]*tenant), named: make(map[schema.ID]int), month: monthCost, byTenant: make(map[string]time.Duration),
	}
}

// look puts what has arrived into the lanes.
func (l *lanes) look() {
	l.arrived, l.reading, l.closed = l.queue.take(l.arrived[:0])
	now := time.Now()
	for _, r := range l.arrived {
		l.company.see(r.orgID, now)
		l.committer.weigh(r)
		if r.marks != nil || r.cost > l.share(r.orgID) || l.isCostly(r) {
			l.wait(r)
			continue
		}
		l.usual = append(l.usual, r)
		l.load += r.weight
		l.hurry = l.hurry || l.company.isAlone(r.orgID, now)
	}
	clear(l.arrived)
}

// isCostly reports whether a request cannot go with the usual ones whatever it costs.
func (l *lanes) isCostly(r *request) bool {
	if r.months > 0 || r.reviews > schema.MostAround || r.reviews > 0 && !l.company.isOnly(r.orgID, time.Now()) {
		return true
	}
	if len(l.named) == 0 {
		return false
	}
	for i := range r.batch.Targets {
		if _, there := l.named[r.batch.Targets[i].Owner.Session]; there {
			return true
		}
	}
	return false
}

// share returns what an organisation may add to a group.
func (l *lanes) share(orgID string) time.Duration {
	if l.company.isOnly(orgID, time.Now()) {
		return l.limits.alone
	}
	return l.limits.share
}

// wait puts a request of the queue into its organisation's costly lane, or refuses it.
func (l *lanes) wait(r *request) {
	l.queue.leave(r)
	t := l.tenants[r.orgID]
	switch {
	case t == nil:
		t = &tenant{orgID: r.orgID, find: findCost, review: reviewCost}
		l.tenants[r.orgID] = t
		l.turns = append(l.turns, t)
	case t.cost+r.cost > l.limits.waiting:
		l.queue.refuse()
		l.answer(r, schema.Busy)
		return
	}
	if r.marks == nil && !r.arranged {
		r.arrange(math.MinInt64)
	}
	t.requests = append(t.requests, r)
	t.cost += r.cost
	l.name(r, 1)
}

// name counts the sessions of a costly request that came, or went.
func (l *lanes) name(r *request, by int) {
	if r.batch == nil {
		return
	}
	for i := range r.batch.Targets {
		session := r.batch.Targets[i].Owner.Session
		if l.named[session] += by; l.named[session] == 0 {
			delete(l.named, session)
		}
	}
}

// leave takes the first request of a tenant out of its lane, and answers it.
func (l *lanes) leave(t *tenant, err error) {
	r := t.requests[0]
	t.requests[0] = nil
	t.requests = t.requests[1:]
	t.cost -= r.cost
	l.name(r, -1)
	l.answer(r, err)
	if len(t.requests) == 0 {
		delete(l.tenants, t.orgID)
		l.turns = slices.DeleteFunc(l.turns, func(other *tenant) bool { return other == t })
	}
}

// step is what the committer does next.
type step uint8

const (
	nothing step = iota
	aGroup
	aSlice
)

// next says what to do, and with nothing to do for how long, where 0 is until something arrives. At the end
// nothing is made to wait.
func (l *lanes) next(now time.Time) (step, time.Duration) {
	group, slice := forever, forever
	if len(l.usual) > 0 {
		group = l.dueGroup(now)
	}
	if len(l.turns) > 0 {
		slice = l.sliceDue(now)
	}
	switch {
	case group <= 0 && !(l.grouped && slice <= 0):
		return aGroup, 0
	case slice <= 0:
		return aSlice, 0
	case group == forever && slice == forever:
		return nothing, 0
	}
	return nothing, min(group, slice)
}

// dueGroup returns how long usual requests still wait for company.
func (l *lanes) dueGroup(now time.Time) time.Duration {
	if l.closed {
		return 0
	}
	return l.groups.due(now, amount{len(l.usual), l.load}, l.reading, l.hurry)
}

const forever = time.Duration(1<<63 - 1)

// sliceDue is what pace.due is for costly requests: enough for a slice does not wait, nor does the rest of what
// was begun. But while groups are written, slices leave them two thirds of the time: a group follows a slice in any case, and
// who writes one point after the other would wait for a slice with each.
func (l *lanes) sliceDue(now time.Time) time.Duration {
	if l.closed {
		return 0
	}
	if now.Sub(l.groups.ended) < fewTime {
		if rest := l.slices.ended.Add(2 * l.slices.ended.Sub(l.slices.began)).Sub(now); rest > 0 {
			return rest
		}
	}
	first := l.turns[0].requests[0]
	if first.begun || first.marks != nil {
		return 0
	}
	cost, waiting, alone := time.Duration(0), 0, false
	for _, t := range l.turns {
		cost, waiting = cost+t.cost, waiting+weightOf(t.requests)
		alone = alone || l.company.isAlone(t.orgID, now)
	}
	if cost >= l.limits.slice {
		return 0
	}
	return l.slices.due(now, amount{points: waiting}, 0, alone)
}

// group writes what waits of the usual requests, up to the bound, and answers it.
func (l *lanes) group() {
	began := time.Now()
	l.gather()
	if len(l.parts) == 0 {
		return
	}
	l.grouped = true
	err := l.committer.write(l.parts)
	l.committer.findCost = learnFind(l.committer.findCost, l.committer.took.find, l.committer.took.finds, l.slowness())
	l.look() // before anybody is answered, and comes again
	l.queue.grouped()
	l.company.wrote(l.written, l.usual)
	l.groups.inserted(began, time.Now(), amount{len(l.written), weightOf(l.written)}, amount{len(l.usual), l.load})
	for _, r := range l.written {
		l.answer(r, err)
	}
	l.forget()
}

// gather makes the next group. What has become costly since it came goes to its lane.
func (l *lanes) gather() {
	var left []*request
	cost, reviews := time.Duration(0), 0
	clear(l.byTenant)
	waiting := l.usual
	l.usual, l.load, l.hurry = l.usual[:0], 0, false
	for i, r := range waiting {
		if r.ctx.Err() != nil {
			l.queue.leave(r)
			l.answer(r, ended(r.ctx))
			continue
		}
		if r.weighed != l.committer.steps {
			l.committer.weigh(r)
		}
		if (cost+r.cost > l.limits.group || reviews+r.reviews > schema.MostAround) && len(l.parts) > 0 {
			left = waiting[i:]
			break
		}
		if own := l.byTenant[r.orgID]; own+r.cost > l.share(r.orgID) || l.isCostly(r) {
			l.wait(r)
			continue
		}
		l.byTenant[r.orgID] += r.cost
		cost, reviews = cost+r.cost, reviews+r.reviews
		l.parts = append(l.parts, part{r, r.rest})
		l.written = append(l.written, r)
	}
	l.usual = append(l.usual, left...)
	l.load = weightOf(l.usual)
	clear(waiting[len(l.usual):])
	l.queue.leave(l.written...)
}

// forget drops what a step has left in scratch memory.
func (l *lanes) forget() {
	clear(l.parts)
	clear(l.written)
	l.parts, l.written = l.parts[:0], l.written[:0]
}

// empty reports whether nothing waits.
func (l *lanes) empty() bool { return len(l.usual) == 0 && len(l.turns) == 0 }
