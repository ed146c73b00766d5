package sessions

import (
	"cmp"
	"math"
	"slices"

	"lastseen/schema"
)

// notSeen is what Newest.SeenAt says of a session that has no point to show.
const notSeen = math.MinInt64

// scan is one look at all sessions that an organisation may see. A session that changes meanwhile is taken as it was
// or as it is. It belongs to one goroutine.
type scan struct {
	index    *Index
	orgID    string
	scope    schema.OrgScope
	criteria criteria
	// found, when set, is called with rows that match, their fleet and, if seen was asked for, when they were last
	// seen. It must not keep the slices. The fleet is locked.
	found func(f *fleet, rows []uint32, seen []int64)
	seen  bool // found wants to know when sessions were last seen
	// backward begins with the rows that became known last.
	backward bool

	likely []uint16
	picked []uint32 // rows that match, as far as the rows themselves go
	spots  []uint32
	seenAt []int64
}

// run looks at everything.
func (s *scan) run() {
	f := s.index.known(s.orgID)
	if f == nil || s.criteria.nothing {
		return
	}
	if s.scope != schema.Shared {
		if s.wantsSeen() {
			s.index.refresh(f)
		}
		s.owned(f)
	}
	if s.scope != schema.Owned {
		s.shared(f)
	}
}

func (s *scan) owned(f *fleet) {
	f.mu.RLock()
	blocks := len(f.blocks)
	f.mu.RUnlock()
	stretches := (blocks + stretchBlocks - 1) / stretchBlocks
	for n := range stretches {
		if s.backward {
			n = stretches - 1 - n
		}
		f.mu.RLock() // for a stretch each time, so that those who have something to change do not wait long
		s.stretch(f, n, min(blocks, (n+1)*stretchBlocks))
		f.mu.RUnlock()
	}
}

// stretch looks at one stretch of blocks, the last of which is before end. The caller holds the fleet's lock.
func (s *scan) stretch(f *fleet, n, end int) {
	if n < len(f.full) && len(s.criteria.hint) >= 3 {
		var selective bool
		if s.likely, selective = f.full[n].grams().mayContain(s.criteria.hint, s.likely[:0]); selective {
			s.some(f, uint32(n)<<stretchBits)
			return
		}
	}
	first := n * stretchBlocks
	for i := range end - first {
		if s.backward {
			s.block(f, end-1-i)
		} else {
			s.block(f, first+i)
		}
	}
}

// some looks at the likely rows of a stretch that begins with a row. The caller holds the fleet's lock.
func (s *scan) some(f *fleet, first uint32) {
	s.picked = s.picked[:0]
	for _, row := range s.likely {
		number := first + uint32(row)
		if r, b := f.row(number); s.criteria.admits(f, number, r, b) {
			s.picked = append(s.picked, number)
		}
	}
	s.deliver(f)
}

// block looks at one block. The caller holds the fleet's lock.
func (s *scan) block(f *fleet, number int) {
	b, first := f.blocks[number], uint32(number)<<blockBits
	if n := number / stretchBlocks; n >= len(f.full) && !b.mayContain(s.criteria.hint) {
		return
	}
	s.picked = s.picked[:0]
	for i := range b.rows {
		if s.criteria.everything || s.criteria.admits(f, first+uint32(i), &b.rows[i], b) {
			s.picked = append(s.picked, first+uint32(i))
		}
	}
	s.deliver(f)
}

// shared looks at what others share, fleet by fleet.
func (s *scan) shared(viewer *fleet) {
	viewer.mu.RLock()
	places := make([]place, 0, len(viewer.shared))
	for p := range viewer.shared {
		places = append(places, p)
	}
	viewer.mu.RUnlock()
	slices.Sort(places)
	for len(places) > 0 {
		of := places[0].fleet()
		next := func(p place) bool { return p.fleet() != of }
		end := cmp.Or(slices.IndexFunc(places, next)+1, len(places)+1) - 1
		f := s.index.at(of)
		for some := range slices.Chunk(places[:end], blockRows) {
			f.mu.RLock()
			s.picked = s.picked[:0]
			for _, p := range some {
				r, b := f.row(p.row())
				if f.shows(s.orgID, p.row(), r) && s.criteria.admits(f, p.row(), r, b) {
					s.picked = append(s.picked, p.row())
				}
			}
			s.deliver(f)
			f.mu.RUnlock()
		}
		places = places[end:]
	}
}

// deliver hands over what was picked of a fleet, whose lock the caller holds.
func (s *scan) deliver(f *fleet) {
	if len(s.picked) == 0 {
		return
	}
	if !s.wantsSeen() {
		s.found(f, s.picked, nil)
		return
	}
	s.seenAt = s.seenAt[:0]
	if f.orgID == s.orgID {
		for _, number := range s.picked {
			s.seenAt = append(s.seenAt, f.seenAt(number))
		}
	} else {
		s.ask(f)
	}
	if s.criteria.ofSeen() {
		kept := 0
		for i, at := range s.seenAt {
			if s.criteria.admitsSeen(at) {
				s.picked[kept], s.seenAt[kept] = s.picked[i], at
				kept++
			}
		}
		s.picked, s.seenAt = s.picked[:kept], s.seenAt[:kept]
	}
	s.found(f, s.picked, s.seenAt)
}

// wantsSeen reports whether it matters when sessions were last seen.
func (s *scan) wantsSeen() bool { return s.seen || s.criteria.ofSeen() }

// ask finds out when those that were picked of another's fleet, few as they are, were last seen.
func (s *scan) ask(f *fleet) {
	s.spots = s.spots[:0]
	for _, number := range s.picked {
		r, _ := f.row(number)
		s.spots = append(s.spots, r.spot)
	}
	s.seenAt = append(s.seenAt, make([]int64, len(s.spots))...)
	s.index.newest.SeenAt(s.spots, s.seenAt)
}
