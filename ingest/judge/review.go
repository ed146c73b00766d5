package judge

import "slices"

// Point is a fix among its neighbours.
type Point struct {
	Fix
	New     bool   // it is to be judged; the others were, or are before those
	Was     Reason // how it was judged; of what is not new
	Is      Reason // how it is judged now
	Decided Decision
}

// Decision is what a person has said of a point, which counts whatever it looks like.
type Decision uint8

// A person may have said nothing, that the point is true, or that it is an outlier.
const (
	Undecided Decision = iota
	SaidTrue
	SaidOutlier
)

// settled is how many points in a row after the new ones must be judged as before for the rest to be left alone.
const settled = 8

// Review judges the new ones among a session's points, which are in ascending time, and those after them again, and
// fills in how each is judged now. The points before the first new one tell what was known then; they are judged
// otherwise only where they were in doubt. It returns the track after the last point.
func Review(points []Point) (t Track) {
	r := review{points: points}
	first, last := -1, -1
	for i := range points {
		points[i].Is = points[i].Was
		if points[i].New {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	same := 0
	for i := range points {
		p := &points[i]
		switch {
		case p.Decided == SaidOutlier:
		case first < 0 || i < first || i > last && same >= settled:
			r.recall(p)
		case p.Decided == SaidTrue:
			r.track.accept(p.Fix)
		default:
			r.judge(i)
		}
		if i > last && p.Is == p.Was {
			same++
		} else {
			same = 0
		}
	}
	return r.track
}

// review is the state of a call of Review.
type review struct {
	points []Point
	track  Track
}

// amend takes note that an earlier point is judged otherwise.
func (r *review) amend(at int64, now Reason) {
	i, there := slices.BinarySearchFunc(r.points, at, func(p Point, at int64) int {
		switch {
		case p.At < at:
			return -1
		case p.At > at:
			return 1
		}
		return 0
	})
	if there && r.points[i].Decided == Undecided {
		r.points[i].Is = now
	}
}

// recall takes over how a point was judged.
func (r *review) recall(p *Point) {
	t := &r.track
	switch {
	case p.Decided == SaidTrue:
		t.accept(p.Fix)
	case p.Was == Plausible && (t.hasLast || !p.AtNullIsland()):
		t.accept(p.Fix)
	case p.Was == Plausible:
		t.first(p.Fix, r.amend)
	case p.Was == TooFast && t.hasLast:
		t.refuse(p.Fix)
	case p.Was == Ahead && t.hasLast:
		t.future.push(p.Fix)
	}
}

// judge judges a point.
func (r *review) judge(i int) {
	p, t := &r.points[i], &r.track
	if p.New && !p.ahead() && r.inTheWay(i) {
		if t.hasLast {
			t.refuse(p.Fix)
		}
		p.Is = TooFast
		return
	}
	if !t.hasLast && !p.AtNullIsland() {
		for j := range r.points[:i] { // of these the track remembers only some
			if zero := &r.points[j]; zero.Decided == Undecided && zero.AtNullIsland() && distance(&zero.Fix, &p.Fix) > farFromIt {
				zero.Is = NullIsland
			}
		}
	}
	p.Is = t.Next(p.Fix, r.amend)
}

// inTheWay reports whether a point that could be good would put the next ones in doubt that were good so far, though
// these are nearer to what came before, or nothing did and they agree with each other.
func (r *review) inTheWay(i int) bool {
	p, t := &r.points[i].Fix, &r.track
	if p.AtNullIsland() || t.hasLast && !t.reaches(p) {
		return false
	}
	next := r.good(i + 1)
	if next < 0 {
		return false
	}
	beyond, f := From(*p), &r.points[next].Fix
	if beyond.reaches(f) {
		return false
	}
	if t.hasLast {
		return t.reaches(f) && speed(&t.last, f) < speed(&t.last, p)
	}
	after := r.good(next + 1)
	if after < 0 {
		return false
	}
	beyond = From(*f)
	return beyond.hasLast && beyond.reaches(&r.points[after].Fix)
}

// good returns the place of the first point from a place on that was good before, or -1.
func (r *review) good(from int) int {
	for i := from; i < len(r.points); i++ {
		if p := &r.points[i]; !p.New && p.Is == Plausible && p.Decided != SaidOutlier {
			return i
		}
	}
	return -1
}
