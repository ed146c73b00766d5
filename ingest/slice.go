package ingest

import (
	"slices"
	"time"
)

// slowestMonth is up to how many times monthCost a month is taken to take: whoever is alone is not to pay for a
// machine that has more to do.
const slowestMonth = 4

// slice writes the next slice of costly requests, and answers those of which it was the last. The organisation
// whose turn it is has as much of it as one step may take, and those after it have what it leaves.
func (l *lanes) slice() {
	l.grouped = false
	l.dropEnded()
	if len(l.turns) == 0 {
		return
	}
	began, first := time.Now(), l.turns[0]
	var of []*tenant
	var err error
	if r := first.requests[0]; r.marks != nil {
		of, err = l.turns[:1], l.mark(first, r)
	} else {
		of, err = l.writeSlice()
	}
	l.look() // before anybody is answered, and comes again
	var inLanes []*request
	for _, t := range l.turns {
		inLanes = append(inLanes, t.requests...)
	}
	l.company.wrote(nil, inLanes)
	points := weightOf(l.written)
	l.slices.inserted(began, time.Now(), amount{points: points}, amount{points: weightOf(inLanes) - points})
	for _, t := range slices.Clone(of) {
		l.settle(t, err)
	}
	if l.tenants[first.orgID] == first { // it has more, and others have their turns before it
		l.turns = append(l.turns[1:], first)
	}
	l.forget()
}

// dropEnded answers those first requests for which nobody waits any more.
func (l *lanes) dropEnded() {
	for i := 0; i < len(l.turns); {
		t := l.turns[i]
		if r := t.requests[0]; r.ctx.Err() != nil {
			l.leave(t, ended(r.ctx)) // which may have removed t
			continue
		}
		i++
	}
}

// writeSlice writes a slice where the first in turn is a batch of points, and returns of whom it was.
func (l *lanes) writeSlice() ([]*tenant, error) {
	s := slicer{committer: l.committer, month: l.month, left: l.budget(l.turns[0]), months: make(map[month]struct{})}
	shared := 0
	for shared < len(l.turns) && l.fill(&s, l.turns[shared]) {
		shared++
	}
	err := l.committer.write(l.parts)
	took := &l.committer.took
	l.learnMonth(took.insert, took.months)
	l.committer.findCost = learnFind(l.committer.findCost, 0, 0, 1)
	for _, t := range l.turns[:shared] {
		t.find = learnFind(t.find, took.find, took.finds, l.slowness())
		t.review = learnReview(t.review, took.review, took.reviews, l.slowness())
	}
	return l.turns[:shared], err
}

// budget returns what a tenant's slice may take.
func (l *lanes) budget(t *tenant) time.Duration {
	if l.closed || len(l.turns) == 1 && l.company.isOnly(t.orgID, time.Now()) {
		return l.limits.alone
	}
	return scaled(l.limits.slice, l.slowness())
}

// learnMonth takes note of how long an insert into so many months took.
func (l *lanes) learnMonth(insert time.Duration, months int) {
	if months > 0 {
		l.month = min((l.month+insert/time.Duration(months))/2, slowestMonth*monthCost)
	}
}

// slowness is how many times longer than usual inserts took lately, from 1 to slowestMonth. Where a loaded machine or
// disk makes them long, slices that stayed as short as elsewhere would be nearly nothing but inserts, and what a
// look-up takes beside its constant part could not be told.
func (l *lanes) slowness() float64 { return max(1, float64(l.month)/float64(monthCost)) }

// fill adds of a tenant's requests what fits, and reports whether that was anything.
func (l *lanes) fill(s *slicer, t *tenant) bool {
	before := len(l.parts)
	s.find, s.review = t.find, t.review
	for _, r := range t.requests {
		if r.marks != nil || r.ctx.Err() != nil {
			break // its turn comes when it is the first
		}
		left := s.left
		n := s.take(r)
		if n == 0 {
			break
		}
		l.parts = append(l.parts, part{r, r.rest[:n]})
		l.written = append(l.written, r)
		r.rest, r.begun = r.rest[n:], true
		t.pay(r, left-s.left)
		if len(r.rest) > 0 {
			break
		}
	}
	return len(l.parts) > before
}

// pay takes what a slice of a request costs from what the request counts for.
func (t *tenant) pay(r *request, cost time.Duration) {
	cost = min(cost, r.cost)
	r.cost, t.cost = r.cost-cost, t.cost-cost
}

// settle answers the first requests of a tenant that are done, or of which a part could not be written.
func (l *lanes) settle(t *tenant, err error) {
	for len(t.requests) > 0 && t.requests[0].begun && (err != nil || t.requests[0].isDone()) {
		l.leave(t, err)
	}
}

// isDone reports whether a request that was begun is written whole.
func (r *request) isDone() bool {
	return len(r.rest) == 0 && (r.marks == nil || len(r.marks.rest) == 0)
}

// mark marks some of the points that a request names.
func (l *lanes) mark(t *tenant, r *request) error {
	rest := r.marks.rest
	n := min(len(rest), max(1, int(l.budget(t)/max(t.find, 1))))
	r.marks.rest, r.begun = rest[n:], true
	t.pay(r, time.Duration(n)*t.find)
	l.written = append(l.written, r)
	err := l.committer.mark(r.marks, rest[:n])
	t.find = learnMark(t.find, &l.committer.took, n, l.slowness())
	return err
}
