package arrival

import (
	"bytes"
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"lastseen/schema"
)

// ahead sorts the next step while the one before is used. A goroutine does so until the last step; close waits for it.
type ahead struct {
	sorter *Sorter
	free   chan []schema.DataPoint // memory for a sorted step; there are two
	ready  chan sortedStep
	used   []schema.DataPoint // by the sorter's owner, while it holds some
	holds  bool

	unsorted []schema.DataPoint
	keys     []uint64
}

type sortedStep struct {
	points []schema.DataPoint
	err    error
}

func startAhead(s *Sorter) *ahead {
	a := &ahead{sorter: s, free: make(chan []schema.DataPoint, 2), ready: make(chan sortedStep, 1)}
	a.free <- nil
	a.free <- nil
	go a.run()
	return a
}

func (a *ahead) run() {
	defer close(a.ready)
	for i := range a.sorter.steps {
		memory, goesOn := <-a.free
		if !goesOn {
			return
		}
		points, err := a.sort(&a.sorter.steps[i], memory[:0])
		a.ready <- sortedStep{points, err} // never waits: there is other memory than what its owner has only for one
		if err != nil {
			return
		}
	}
}

// next gives the sorter the next step, and reports whether there is one.
func (a *ahead) next(s *Sorter) bool {
	if a.holds {
		a.free <- a.used
	}
	step, is := <-a.ready
	s.sorted, s.err = step.points, step.err
	a.used, a.holds = step.points, is
	return is && step.err == nil
}

// close returns when nothing is sorted any more.
func (a *ahead) close() {
	close(a.free)
	for range a.ready {
		continue // until run ends
	}
}

// sort appends the points of a step in the order of arrival to memory.
func (a *ahead) sort(of *step, sorted []schema.DataPoint) ([]schema.DataPoint, error) {
	n := len(of.chunks)*chunkPoints + len(of.rest)
	a.unsorted = slices.Grow(a.unsorted[:0], n)[:n]
	for i, chunk := range of.chunks {
		if _, err := a.sorter.file.ReadAt(bytesOf(a.unsorted[i*chunkPoints:][:chunkPoints]), chunk*chunkPoints*PointBytes); err != nil {
			return nil, fmt.Errorf("read the file that a feed is sorted in: %w", err)
		}
	}
	copy(a.unsorted[len(of.chunks)*chunkPoints:], of.rest)
	of.rest = nil
	if n == 0 {
		return sorted, nil
	}
	first := a.unsorted[0].ReceivedAt
	for i := range a.unsorted {
		first = min(first, a.unsorted[i].ReceivedAt)
	}
	// A key is when a point arrived, and below that its place: a number sorts sooner than a point, and where times are the
	// same what was before stays before.
	places := bits.Len(uint(n))
	a.keys = a.keys[:0]
	for i := range a.unsorted {
		a.keys = append(a.keys, uint64(a.unsorted[i].ReceivedAt-first)<<places|uint64(i))
	}
	slices.Sort(a.keys)
	for _, key := range a.keys {
		sorted = append(sorted, a.unsorted[key&(1<<places-1)])
	}
	return fold(sorted), nil
}

// fold puts points that arrived at one time, which are in the order of their arrival, in the order of their sessions and
// timestamps, and keeps of one identity the row that counts.
func fold(points []schema.DataPoint) []schema.DataPoint {
	for begin := 0; begin < len(points); {
		end, ordered := begin+1, true
		for ; end < len(points) && points[end].ReceivedAt == points[begin].ReceivedAt; end++ {
			ordered = ordered && byIdentity(&points[end-1], &points[end]) <= 0
		}
		if !ordered { // of several parts
			slices.SortFunc(points[begin:end], func(a, b schema.DataPoint) int { return byIdentity(&a, &b) })
		}
		begin = end
	}
	kept := points[:1]
	for i := range points[1:] {
		p, last := &points[1+i], &kept[len(kept)-1]
		switch {
		case p.ReceivedAt != last.ReceivedAt || byIdentity(p, last) != 0:
			kept = append(kept, *p)
		case p.Supersedes(last):
			*last = *p
		}
	}
	return kept
}

func byIdentity(p, q *schema.DataPoint) int {
	if order := bytes.Compare(p.SessionID[:], q.SessionID[:]); order != 0 {
		return order
	}
	return cmp.Compare(p.Timestamp, q.Timestamp)
}
