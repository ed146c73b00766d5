package sessions

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/schema"
)

// fleet holds an organisation's sessions, a row each in the order in which they became known, and which sessions of
// others are shared with it. A row keeps its number for good.
type fleet struct {
	number uint32 // among the fleets of the index
	orgID  string

	seeing sync.Mutex // held by who adds a row or sets when rows were last seen; locked before mu

	mu     sync.RWMutex
	blocks []*block
	full   []*stretch // the stretches of blocks that are full
	rows   int
	lists  map[uint32]*lists // by row, of those with hasLists
	shared map[place]struct{}
}

// place is where a session is: the number of its organisation's fleet in the upper half, and in the lower one the
// number of its row.
type place uint64

func placeOf(f *fleet, number uint32) place { return place(f.number)<<32 | place(number) }

func (p place) fleet() uint32 { return uint32(p >> 32) }
func (p place) row() uint32   { return uint32(p) }

// row returns a row and its block. The caller holds mu.
func (f *fleet) row(number uint32) (*row, *block) {
	b := f.blocks[number>>blockBits]
	return &b.rows[number&(blockRows-1)], b
}

// seenAt returns when the session of a row was last seen. The caller holds mu.
func (f *fleet) seenAt(number uint32) int64 {
	return atomic.LoadInt64(&f.blocks[number>>blockBits].seen[number&(blockRows-1)])
}

// setSeen sets when the session of a row was last seen. The caller holds seeing, and those who read need not wait.
func (f *fleet) setSeen(number uint32, at int64) {
	atomic.StoreInt64(&f.blocks[number>>blockBits].seen[number&(blockRows-1)], at)
}

// add takes over sessions that are new, and returns the number of the row of the first; those of the others follow it. The
// caller holds seeing.
func (f *fleet) add(sessions []schema.Session, spots []uint32) (first uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first = uint32(f.rows)
	for i := range sessions {
		f.addRow(&sessions[i], spots[i])
	}
	return first
}

// addRow is add of one. The caller holds mu too.
func (f *fleet) addRow(s *schema.Session, spot uint32) {
	number := uint32(f.rows)
	if f.rows%blockRows == 0 {
		f.blocks = append(f.blocks, newBlock(f.blocks))
	}
	b := f.blocks[len(f.blocks)-1]
	b.add(row{id: s.ID, spot: spot})
	f.rows++
	r := &b.rows[len(b.rows)-1]
	b.setTexts(r, s)
	f.set(r, number, s)
	if len(b.rows) == blockRows && cap(b.texts)-len(b.texts) > len(b.texts)/roomLeft {
		b.texts = slices.Clone(b.texts) // without the room for more
	}
	if f.rows%stretchRows == 0 {
		full := f.blocks[len(f.blocks)-stretchBlocks:]
		f.full = append(f.full, &stretch{blocks: full})
		for _, b := range full {
			b.may.Store(nil)
		}
	}
}

// change takes over what is new of a session, and returns with which organisations it was shared.
func (f *fleet) change(number uint32, s *schema.Session) (shared []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, b := f.row(number)
	if l := f.lists[number]; l != nil {
		shared = l.shared
	}
	b.replaceTexts(r, s)
	f.set(r, number, s)
	if n := int(number >> stretchBits); n < len(f.full) {
		f.full[n].change(uint16(number & (stretchRows - 1)))
	}
	return shared
}

// set fills a row but for its texts. The caller holds mu.
func (f *fleet) set(r *row, number uint32, s *schema.Session) {
	r.device, r.createdAt = s.DeviceID, s.CreatedAt.UnixMilli()
	r.scheduledFor, r.terminatedAt = unixMilli(s.TerminationScheduledFor), unixMilli(s.TerminatedAt)
	r.flags &^= publicKnown | publicTrue | hasLists | flagsOutliers | leavesOutliers
	r.note(publicKnown, s.Public != nil)
	r.note(publicTrue, s.Public != nil && *s.Public)
	r.note(flagsOutliers, s.Outliers != nil && *s.Outliers == schema.WordFlagOutliers)
	r.note(leavesOutliers, s.Outliers != nil && *s.Outliers == schema.WordLeaveOutliers)
	if len(s.SharedWithOrgIDs)+len(s.FlightNumbers)+len(s.FlightLoadedStatuses)+len(s.FlightLegIDs) == 0 {
		delete(f.lists, number)
		return
	}
	r.note(hasLists, true)
	if f.lists == nil {
		f.lists = make(map[uint32]*lists)
	}
	f.lists[number] = &lists{
		slices.Clone(s.SharedWithOrgIDs), slices.Clone(s.FlightNumbers), slices.Clone(s.FlightLoadedStatuses), slices.Clone(s.FlightLegIDs),
	}
}

// unixMilli returns a time in Unix milliseconds, 0 for none.
func unixMilli(at *time.Time) int64 {
	if at == nil {
		return 0
	}
	return at.UnixMilli()
}

// share notes that a session of others is shared with the organisation, or no longer is.
func (f *fleet) share(p place, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !on {
		delete(f.shared, p)
		return
	}
	if f.shared == nil {
		f.shared = make(map[place]struct{})
	}
	f.shared[p] = struct{}{}
}

// shows reports whether an organisation may see a row. The caller holds mu.
func (f *fleet) shows(orgID string, number uint32, r *row) bool {
	return f.orgID == orgID || r.has(hasLists) && slices.Contains(f.lists[number].shared, orgID)
}

// session returns a session as an organisation sees it, and false when it does not.
func (f *fleet) session(orgID string, number uint32) (schema.Session, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	r, b := f.row(number)
	if !f.shows(orgID, number, r) {
		return schema.Session{}, false
	}
	s := b.session(r)
	s.OrgID = f.orgID
	if l := f.lists[number]; l != nil {
		s.SharedWithOrgIDs, s.FlightNumbers, s.FlightLoadedStatuses, s.FlightLegIDs = l.shared, l.flights, l.statuses, l.legs
	}
	if f.orgID != orgID {
		s.SharedWithOrgIDs = []string{orgID}
	}
	return s, true
}

// fields divides a row's folded texts.
func fields(folded []byte) (mac, reference, comments []byte) {
	mac, rest, _ := bytes.Cut(folded, []byte{0})
	reference, comments, _ = bytes.Cut(rest, []byte{0})
	return mac, reference, comments
}
