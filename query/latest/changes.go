package latest

import (
	"sync"
	"sync/atomic"

	"lastseen/query/latest/changelog"
	"lastseen/schema"
)

// changes are, for each organisation, the order in which what it sees of its own sessions has changed and, apart from
// it, what it sees of sessions that are shared with it. A log holds the sessions that have a point on show and have not
// ended.
//
// Whoever changes a record settles it in the logs afterwards. Under the log's lock it looks at the record again, so
// that the last of several who do so at the same time sees the last state.
type changes struct {
	records *records
	orgs    *organisations
	shares  *shares

	owned atomic.Pointer[[]*changelog.Log] // by the owner's number
	// filling is from the beginning of a load to that of fill. Sessions that are put meanwhile need not be settled: who puts one
	// looks at it after it has changed the record, so either fill sees the change, or it is settled.
	filling atomic.Bool

	mu sync.Mutex // held by who adds to owned

	access sync.Mutex // guards shared
	shared map[string]*sharedLog
}

func newChanges(records *records, orgs *organisations, shares *shares) *changes {
	c := &changes{records: records, orgs: orgs, shares: shares, shared: map[string]*sharedLog{}}
	c.owned.Store(new([]*changelog.Log))
	return c
}

// sharedLog is the log of what is shared with an organisation.
type sharedLog struct {
	*changelog.Log
	followed bool // by somebody of the organisation, once: the log is kept for the cursors that there may be
}

// ownedSessions are an owner's sessions as its log sees them, which keeps their slots in the records.
type ownedSessions struct{ *records }

// Live reports whether there is a point to show of a session that has not ended.
func (s ownedSessions) Live(ref changelog.Ref) bool { return s.at(ref).live() }

// ID returns a session's id.
func (s ownedSessions) ID(ref changelog.Ref) schema.ID { return s.at(ref).id() }

// Slot returns where a session stands in the log.
func (s ownedSessions) Slot(ref changelog.Ref) uint32 { return s.at(ref).slot }

// SetSlot says where that is.
func (s ownedSessions) SetSlot(ref changelog.Ref, slot uint32) { s.at(ref).slot = slot }

// sharedSessions are the few sessions that are shared with an organisation as its log sees them.
type sharedSessions struct {
	*records
	shares *shares
	orgID  string
	slots  map[changelog.Ref]uint32
}

// Live reports whether there is a point to show of a session that has not ended and is still shared.
func (s *sharedSessions) Live(ref changelog.Ref) bool {
	e := s.at(ref)
	return e.live() && s.shares.has(e.id(), s.orgID)
}

// ID returns a session's id.
func (s *sharedSessions) ID(ref changelog.Ref) schema.ID { return s.at(ref).id() }

// Slot returns where a session stands in the log.
func (s *sharedSessions) Slot(ref changelog.Ref) uint32 { return s.slots[ref] }

// SetSlot says where that is.
func (s *sharedSessions) SetSlot(ref changelog.Ref, slot uint32) {
	if slot == 0 {
		delete(s.slots, ref)
		return
	}
	s.slots[ref] = slot
}

// ownedBy returns the log of an organisation's own sessions by its number.
func (c *changes) ownedBy(number uint32) *changelog.Log {
	if logs := *c.owned.Load(); int(number) < len(logs) {
		return logs[number]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	logs := *c.owned.Load()
	for int(number) >= len(logs) { // readers hold the shorter slice and never look past its end
		logs = append(logs, changelog.New(ownedSessions{c.records}))
	}
	c.owned.Store(&logs)
	return logs[number]
}

// sharedWith returns the log of what is shared with an organisation. The caller holds access.
func (c *changes) sharedWith(orgID string) *sharedLog {
	log := c.shared[orgID]
	if log == nil {
		sessions := &sharedSessions{records: c.records, shares: c.shares, orgID: orgID, slots: map[changelog.Ref]uint32{}}
		log = &sharedLog{Log: changelog.New(sessions)}
		c.shared[orgID] = log
	}
	return log
}

// followShared is sharedWith for somebody of the organisation, who is going to read it.
func (c *changes) followShared(orgID string) *changelog.Log {
	c.access.Lock()
	defer c.access.Unlock()
	log := c.sharedWith(orgID)
	log.followed = true
	return log.Log
}

// woken collects the logs whose watchers are to be woken when a change is through.
type woken []*changelog.Log

func (w *woken) wake() {
	for _, log := range *w {
		log.Wake()
	}
	*w = (*w)[:0]
}

// settle brings the logs in line with a record: moved says that what is shown of it has changed. shared are the
// organisations with which the session is shared, or was before the change. A log of what is shared that is empty and
// that nobody has read is dropped.
func (c *changes) settle(ref changelog.Ref, e *entry, moved bool, shared []string, wake *woken) {
	owner := e.owner()
	if owner == 0 {
		return
	}
	if log := c.ownedBy(owner); log.Settle(ref, moved) {
		*wake = append(*wake, log)
	}
	if len(shared) == 0 {
		return
	}
	c.access.Lock()
	defer c.access.Unlock()
	for _, org := range shared {
		log := c.sharedWith(org)
		if log.Settle(ref, moved) {
			*wake = append(*wake, log.Log)
		}
		if !log.followed && log.Len() == 0 {
			delete(c.shared, org)
		}
	}
}

// moved settles a session of which something else is shown now.
func (c *changes) moved(ref changelog.Ref, e *entry, wake *woken) {
	var shared []string
	if e.flags()&isShared != 0 {
		shared = c.shares.of(e.id())
	}
	c.settle(ref, e, true, shared, wake)
}

// fill logs all records, as changed in no particular order.
func (c *changes) fill() {
	c.filling.Store(false)
	var wake woken
	c.records.each(func(ref changelog.Ref, e *entry) { c.moved(ref, e, &wake) })
	wake.wake()
}

// owner returns the number of the session's owner.
func (e *entry) owner() uint32 { return uint32(e.words[1].Load() >> 32) }

func (e *entry) flags() recordFlags { return recordFlags(e.words[2].Load() >> 56) }

// live reports whether there is a point to show of the session and it has not ended.
func (e *entry) live() bool {
	state := e.words[2].Load()
	flags := recordFlags(state >> 56)
	return flags&hasPoint != 0 && flags&hasEnded == 0 && schema.Outlier(state>>48) == schema.NotOutlier
}
