package sessions

import (
	"container/list"
	"math/rand/v2"
	"sync"
)

// walks remember what was given to those who follow a list from page to page, where the order changes under way: a
// session that jumps to the front is given with the next page if it was not yet, and not again if it was. Past the
// limits the walks that were not gone on with for the longest time are forgotten; whoever follows one of those is told
// by the order alone what was given, and may get a session twice that moved meanwhile.
type walks struct {
	mu     sync.Mutex
	byID   map[uint64]*list.Element // of *walk
	recent *list.List               // of *walk, the one used last in front
	held   int                      // places in all
	ofOrg  map[string]int           // places of each organisation
}

// walk is what one of them was given, in that order.
type walk struct {
	id    uint64
	orgID string
	given []place
}

const (
	// maxHeld bounds what is remembered, in places of eight bytes; an organisation has half of it.
	maxHeld = 4 << 20
	// walkCost is what a walk takes beside its places.
	walkCost = 32
)

func newWalks() *walks {
	return &walks{byID: make(map[uint64]*list.Element), recent: list.New(), ofOrg: make(map[string]int)}
}

// given returns what a walk of an organisation had given after so many sessions, and false when that is forgotten.
func (w *walks) given(orgID string, id uint64, n uint32) ([]place, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.byID[id]
	if e == nil || e.Value.(*walk).orgID != orgID || int(n) > len(e.Value.(*walk).given) {
		return nil, false
	}
	w.recent.MoveToFront(e)
	return e.Value.(*walk).given[:n:n], true
}

// remember notes that a walk has given more after what it had given before, and returns the walk: another one where
// somebody has gone on from the same place, as who did not get the answer does.
func (w *walks) remember(orgID string, id uint64, before, more []place) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.byID[id]; e != nil && len(e.Value.(*walk).given) == len(before) {
		one := e.Value.(*walk)
		one.given = append(one.given, more...)
		w.recent.MoveToFront(e)
		w.count(orgID, len(more))
	} else {
		one := &walk{id: rand.Uint64() | 1, orgID: orgID, given: append(before[:len(before):len(before)], more...)}
		id = one.id
		w.byID[id] = w.recent.PushFront(one)
		w.count(orgID, len(one.given)+walkCost)
	}
	w.forget(orgID)
	return id
}

func (w *walks) count(orgID string, places int) {
	w.held += places
	if w.ofOrg[orgID] += places; w.ofOrg[orgID] == 0 {
		delete(w.ofOrg, orgID)
	}
}

// forget keeps to the limits. The caller holds mu.
func (w *walks) forget(orgID string) {
	for e := w.recent.Back(); e != nil && (w.held > maxHeld || w.ofOrg[orgID] > maxHeld/2); {
		one, before := e.Value.(*walk), e.Prev()
		if w.ofOrg[orgID] <= maxHeld/2 || one.orgID == orgID {
			w.recent.Remove(e)
			delete(w.byID, one.id)
			w.count(one.orgID, -len(one.given)-walkCost)
		}
		e = before
	}
}

// placeSet is a set of sessions: a bit for each row of one fleet, and the others by name.
type placeSet struct {
	fleet  uint32
	bits   []uint64
	others map[place]struct{}
}

// newPlaceSet makes a set of places, most of which are in one fleet.
func newPlaceSet(places []place, fleet uint32) *placeSet {
	s := &placeSet{fleet: fleet}
	for _, p := range places {
		s.add(p)
	}
	return s
}

func (s *placeSet) add(p place) {
	if p.fleet() != s.fleet {
		if s.others == nil {
			s.others = make(map[place]struct{})
		}
		s.others[p] = struct{}{}
		return
	}
	word := int(p.row() / 64)
	if missing := word + 1 - len(s.bits); missing > 0 {
		s.bits = append(s.bits, make([]uint64, missing)...)
	}
	s.bits[word] |= 1 << (p.row() % 64)
}

func (s *placeSet) has(p place) bool {
	if p.fleet() != s.fleet {
		_, there := s.others[p]
		return there
	}
	word := int(p.row() / 64)
	return word < len(s.bits) && s.bits[word]>>(p.row()%64)&1 != 0
}
