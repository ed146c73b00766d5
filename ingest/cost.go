package ingest

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"lastseen/ingest/decode"
	"lastseen/schema"
)

// What a step of the committer takes beside the constant part of an insert, about; see BenchmarkSteps.
const (
	pointCost = 3 * time.Microsecond
	// monthCost is for each month but the first: each is a part of its own, whose files are synced.
	monthCost = 6 * time.Millisecond
	// findCost is for a point that may be stored and is looked up. It depends on how many places of the table are
	// read, from 5 µs to a millisecond, so what it was lately counts for more.
	findCost = 100 * time.Microsecond
	// leastFind is what any look-up takes, and fewFinds are how many say little of what one more takes.
	leastFind = 3 * time.Millisecond
	fewFinds  = 4
)

// learnFind returns what a look-up of a point takes, given what it was taken for and what so many took.
func learnFind(known, took time.Duration, finds int) time.Duration {
	if finds < fewFinds {
		return known
	}
	return (known + max(took-leastFind, took/4)/time.Duration(finds)) / 2
}

// limits bound the steps of the committer, by about the time that they take beside the constant part of an insert.
type limits struct {
	// group is for a group of usual requests, and share for what one organisation may add to it.
	group, share time.Duration
	// slice is for a slice of costly requests.
	slice time.Duration
	// alone takes the place of share and slice while no other organisation writes.
	alone time.Duration
	// waiting is for the costly requests of one organisation that wait.
	waiting time.Duration
}

// defaultLimits: a slice takes about as long as an insert of one point, or twice that, which a request that comes
// meanwhile waits for. A share is what the steady queue lets in of one organisation (queue.takes), in points.
var defaultLimits = limits{
	group: 200 * time.Millisecond, share: 25 * time.Millisecond, slice: 5 * time.Millisecond,
	alone: 200 * time.Millisecond, waiting: 5 * time.Second,
}

// month is the range of time of one part of an insert, Unix milliseconds.
type month struct{ from, to int64 }

func monthOf(ms int64) month {
	t := time.UnixMilli(ms).UTC()
	from := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	return month{from.UnixMilli(), from.AddDate(0, 1, 0).UnixMilli()}
}

func (m month) has(ms int64) bool { return m.from <= ms && ms < m.to }

// usualSpan is how far back points are written with everybody's, beside the running month.
const usualSpan = 48 * time.Hour

// usualFrom returns the oldest timestamp that is written with everybody's: of a time at which nearly all points
// lie in one month anyway.
func usualFrom(now int64) int64 {
	return min(monthOf(now).from, now-usualSpan.Milliseconds())
}

// largeBatch is how many points make it likely that a batch will be written in slices.
const largeBatch = 2_000

// mayBeCostly reports whether it is worth arranging a request before it goes to the committer: it has points from
// before from, or many.
func (r *request) mayBeCostly(from int64) bool {
	isLate := func(p decode.Point) bool { return p.Timestamp < from }
	return len(r.rest) >= largeBatch || slices.ContainsFunc(r.rest, isLate)
}

// arrange makes a batch ready to be written in slices: it puts the points into an order in which a slice touches few
// months and few places of each, keeps the last of those with one identity, and counts the months before from.
func (r *request) arrange(from int64) {
	r.arranged = true
	sessionOf := func(p *decode.Point) *schema.ID { return &r.batch.Targets[p.Target].Owner.Session }
	byTime := func(p, q decode.Point) int { return cmp.Compare(p.Timestamp, q.Timestamp) }
	bySession := func(p, q decode.Point) int {
		x, y := sessionOf(&p), sessionOf(&q)
		return cmp.Or(bytes.Compare(x[:], y[:]), byTime(p, q))
	}
	slices.SortStableFunc(r.rest, byTime)
	for points := r.rest; len(points) > 0; {
		m := monthOf(points[0].Timestamp)
		if points[0].Timestamp < from {
			r.months++
		}
		n := 1
		for n < len(points) && m.has(points[n].Timestamp) {
			n++
		}
		slices.SortStableFunc(points[:n], bySession)
		points = points[n:]
	}
	kept := r.rest[:0]
	for i := range r.rest {
		p := &r.rest[i]
		if last := len(kept) - 1; last >= 0 && kept[last].Timestamp == p.Timestamp && *sessionOf(&kept[last]) == *sessionOf(p) {
			if !p.SameValues(&kept[last].DataPoint) {
				r.replaced++
			}
			kept[last] = *p
			continue
		}
		kept = append(kept, *p)
	}
	r.rest = kept
}

// weigh notes what it would take to write a request by itself, as far as is known now.
func (c *committer) weigh(r *request) {
	r.weighed = c.steps
	if r.marks != nil {
		r.cost = time.Duration(len(r.marks.rest)) * c.findCost
		return
	}
	c.prefetch(r.batch)
	c.newestOf = c.newestOf[:0]
	for i := range r.batch.Targets {
		c.newestOf = append(c.newestOf, c.knowledge(r.batch.Targets[i].Owner.Session).newest)
	}
	finds := 0
	for i := range r.rest {
		if p := &r.rest[i]; p.Timestamp <= c.newestOf[p.Target] {
			finds++
		}
	}
	r.cost = time.Duration(r.months)*monthCost + time.Duration(finds)*c.findCost + time.Duration(len(r.rest))*pointCost
}

// slicer says how much of what waits fits into a step.
type slicer struct {
	committer   *committer
	month, find time.Duration // what another month takes, and another look-up
	left        time.Duration // of what the step may take

	months  map[month]struct{} // so far
	last    month              // of the last point
	session schema.ID          // of the last point
	newest  int64              // of that session
}

// take returns how many points of a request fit, and at least one where nothing has been taken yet.
func (s *slicer) take(r *request) (n int) {
	for n < len(r.rest) {
		p := &r.rest[n]
		price := s.price(p.Timestamp, r.batch.Targets[p.Target].Owner.Session)
		if price > s.left && len(s.months) > 0 {
			break
		}
		s.left -= price
		s.months[s.last] = struct{}{}
		n++
	}
	return n
}

// price is what a point adds to the step. The first month is in the constant part.
func (s *slicer) price(timestamp int64, session schema.ID) time.Duration {
	price := pointCost
	if !s.last.has(timestamp) {
		s.last = monthOf(timestamp)
	}
	if _, there := s.months[s.last]; !there && len(s.months) > 0 {
		price += s.month
	}
	if session != s.session {
		s.session, s.newest = session, s.committer.knowledge(session).newest
	}
	if timestamp <= s.newest {
		price += s.find
	}
	return price
}
