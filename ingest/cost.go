package ingest

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema"
)

// What a step of the committer takes beside the constant part of an insert, about; see BenchmarkSteps.
const (
	pointCost = 3 * time.Microsecond
	// monthCost is for each month but the first: each is a part of its own, whose files are synced.
	monthCost = 6 * time.Millisecond
	// findCost is for a point that may be stored and is looked up. It depends on how many places of the table are
	// read, from 5 µs to a millisecond, so what it was lately counts for more, up to mostFind: a slice has some
	// look-ups in any case, since fewer would say nothing of what one takes, and be lost beside the insert.
	findCost = 100 * time.Microsecond
	mostFind = 300 * time.Microsecond
	// leastFind is what any look-up takes, and fewFinds are how many say little of what one more takes.
	leastFind = 3 * time.Millisecond
	fewFinds  = 4
	// reviewCost is for a session whose late points are judged with their neighbours, which are read. It depends on
	// how many rows of it lie there, and in how many parts; what it was lately counts for no more than mostReview, as with
	// look-ups. leastReview is what any such reading takes.
	reviewCost  = time.Millisecond
	mostReview  = 2 * time.Millisecond
	leastReview = 3 * time.Millisecond
)

// learnFind returns what a look-up of a point takes, given what it was taken for, what so many took, and how many
// times longer than usual the machine takes for what is constant in that. What it took once is forgotten while nothing
// tells.
func learnFind(known, took time.Duration, finds int, slowness float64) time.Duration {
	if finds < fewFinds {
		return known + (findCost-known)/16
	}
	return min((known+beside(leastFind, took, slowness)/time.Duration(finds))/2, mostFind)
}

// learnMark is learnFind for points that were looked up and marked: the insert of so many rows, one each, takes about half as long
// again as to look them up.
func learnMark(known time.Duration, took *took, marks int, slowness float64) time.Duration {
	find := took.find
	if took.insert > 0 {
		find += beside(monthCost, took.insert, slowness)
	}
	return learnFind(known, find, marks, slowness)
}

// learnReview is learnFind for sessions whose neighbours are read.
func learnReview(known, took time.Duration, reviews int, slowness float64) time.Duration {
	if reviews == 0 {
		return known
	}
	return min((known+beside(leastReview, took, slowness)/time.Duration(reviews))/2, mostReview)
}

// beside returns what of a time was not its constant part.
func beside(constant, took time.Duration, slowness float64) time.Duration {
	return max(took-scaled(constant, slowness), took/4)
}

func scaled(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }

// limits bound the steps of the committer, by about the time that they take beside the constant part of an insert.
type limits struct {
	// group is for a group of usual requests, and share for what one organisation may add to it.
	group, share time.Duration
	// slice is for a slice of costly requests, on a machine on which an insert takes as long as usual.
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
	c.known = c.known[:0]
	finds := 0
	for i := range r.batch.Targets {
		s := c.knowledgeOf(&r.batch.Targets[i].Owner)
		if c.outliers.mayAmend(&s) {
			finds++
		}
		c.known = append(c.known, s)
	}
	r.reviews = 0
	for i := range r.rest {
		p := &r.rest[i]
		s := &c.known[p.Target]
		if p.Timestamp <= s.newest {
			finds++
		}
		if c.outliers.isReviewedFor(s, &p.DataPoint) {
			r.reviews++
		}
	}
	r.cost = time.Duration(r.months)*monthCost + time.Duration(finds)*c.findCost + time.Duration(len(r.rest))*pointCost
	if r.reviews > 0 {
		r.cost += leastReview + time.Duration(r.reviews)*reviewCost
	}
}

// knowledgeOf is knowledge of an owner's session.
func (c *committer) knowledgeOf(o *registry.Owner) groupSession {
	s := c.knowledge(o.Session)
	s.id, s.setting = o.Session, o.Outliers
	return s
}

// mayAmend reports whether a point of the session may change how stored ones are judged, which are looked up then.
func (o *outliers) mayAmend(s *groupSession) bool { return s.track != nil && o.judged(s) }

// isReviewedFor takes note that a point comes next, and reports whether it is the first for which the session's
// neighbours are read.
func (o *outliers) isReviewedFor(s *groupSession, p *schema.DataPoint) bool {
	if s.review || !o.judged(s) {
		return false
	}
	s.look(p)
	return s.review && s.known
}

// slicer says how much of what waits fits into a step.
type slicer struct {
	committer           *committer
	month, find, review time.Duration // what another month takes, another look-up, and another session to review
	left                time.Duration // of what the step may take

	months  map[month]struct{} // so far
	last    month              // of the last point
	session groupSession       // of the last point
	reviews int                // so far
}

// take returns how many points of a request fit, and at least one where nothing has been taken yet.
func (s *slicer) take(r *request) (n int) {
	for n < len(r.rest) {
		p := &r.rest[n]
		price, reviews := s.price(&p.DataPoint, &r.batch.Targets[p.Target].Owner)
		if (price > s.left || s.reviews+reviews > schema.MostAround) && len(s.months) > 0 {
			break
		}
		s.left -= price
		s.reviews += reviews
		s.months[s.last] = struct{}{}
		n++
	}
	return n
}

// price is what a point adds to the step, and to the sessions that are reviewed for it. The first month is in the
// constant part.
func (s *slicer) price(p *schema.DataPoint, o *registry.Owner) (price time.Duration, reviews int) {
	price = pointCost
	if !s.last.has(p.Timestamp) {
		s.last = monthOf(p.Timestamp)
	}
	if _, there := s.months[s.last]; !there && len(s.months) > 0 {
		price += s.month
	}
	if o.Session != s.session.id {
		s.session = s.committer.knowledgeOf(o)
		if s.committer.outliers.mayAmend(&s.session) {
			price += s.find
		}
	}
	if p.Timestamp <= s.session.newest {
		price += s.find
	}
	if s.committer.outliers.isReviewedFor(&s.session, p) {
		if reviews = 1; s.reviews == 0 {
			price += leastReview
		}
		price += s.review
	}
	return price, reviews
}
