package latest

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"lastseen/query/latest/changelog"
	"lastseen/schema"
	"lastseen/schema/measure"
)

// Status is the outcome of a look-up.
type Status uint8

const (
	// NotFound says that there is no such session, or none that the caller may see.
	NotFound Status = iota
	// NoPoint says that the session has no data point that is not an outlier.
	NoPoint
	// Found says that the point has been filled in.
	Found
)

// Table holds the newest data point of every session in memory, with who may see it. It is safe
// for concurrent use, and a look-up that starts after a change returned sees it. Look-ups take no
// lock, but for those of sessions that are shared with the caller's organisation, which share a
// read lock with a sixty-fourth of the sessions. It takes about 130 bytes a session.
type Table struct {
	db  *schema.DB
	now func() time.Time
	log *slog.Logger

	records *records
	orgs    *organisations
	shares  shares

	watches watches
	changes *changes
	endings *endings
	run     uint64 // tells places in it from those in other tables

	mu    sync.Mutex
	dirty map[schema.ID]struct{} // changed since it was last saved

	saver    saver
	counts   counts
	expected int // sessions, by the next Load; 0 where nobody has said how many
}

// New returns an empty table over db. Load fills it; Run keeps its checkpoint in ClickHouse
// up to date. now is the clock (time.Now in production).
func New(db *schema.DB, now func() time.Time) *Table {
	t := &Table{
		db: db, now: now, log: slog.Default(),
		records: newRecords(), orgs: newOrganisations(), dirty: make(map[schema.ID]struct{}), endings: newEndings(), run: rand.Uint64(),
		saver:  saver{saving: make(chan struct{}, 1), interval: time.Second},
		counts: counts{lag: measure.NewHistogram(measure.LagBounds())},
	}
	t.changes = newChanges(t.records, t.orgs, &t.shares)
	return t
}

// Len returns the number of sessions in the table.
func (t *Table) Len() int {
	return t.records.len()
}

// PutSession makes a session known, or changes who may see it. Of two calls for one session the
// later one counts.
func (t *Table) PutSession(s schema.Session) { t.PutSessions([]schema.Session{s}) }

// PutSessions is PutSession of each of some different sessions. It keeps nothing of the slice.
func (t *Table) PutSessions(sessions []schema.Session) {
	var ids [prefetchLen]schema.ID
	var puts [prefetchLen]put
	var owner uint32
	for some := range slices.Chunk(sessions, prefetchLen) {
		for i := range some {
			ids[i] = some[i].ID
		}
		var at located
		t.records.prefetch(ids[:len(some)], &at)
		for i := range some {
			if owner == 0 || some[i].OrgID != t.orgs.name(owner) { // most have the one before's
				owner = t.orgs.number(some[i].OrgID)
			}
			puts[i] = put{session: &some[i], hash: at.hashes[i], owner: owner}
		}
		t.putAccess(puts[:len(some)])
		for i := range some {
			t.tell(&puts[i])
		}
	}
}

// put is a session that is put.
type put struct {
	session *schema.Session
	hash    uint64
	owner   uint32
	ref     changelog.Ref // of its record
	entry   *entry        // likewise
	before  []string      // the organisations with which it was shared until then
}

// putAccess takes over who may see sessions and how long.
func (t *Table) putAccess(puts []put) {
	now := t.now()
	for i := range puts {
		s := puts[i].session
		puts[i].before = t.shares.set(s.ID, slices.Clone(s.SharedWithOrgIDs))
	}
	t.endings.mu.Lock()
	defer t.endings.mu.Unlock()
	for i := range puts {
		p := &puts[i]
		s := p.session
		_, ended := s.EndedAt(now)
		scheduled := int64(0) // nothing is to come
		if !ended && s.TerminationScheduledFor != nil {
			scheduled = s.TerminationScheduledFor.UnixMilli()
		}
		t.endings.schedule(s.ID, scheduled)
		var access record
		access.set(isPublic, s.Public != nil && *s.Public)
		access.set(isShared, len(s.SharedWithOrgIDs) > 0)
		access.set(hasEnded, ended)
		p.ref, p.entry = t.records.updateAccess(s.ID, p.hash, p.owner, access.flags)
	}
}

// tell has everybody look again who follows a session that was put.
func (t *Table) tell(p *put) {
	t.watches.wake(p.session.ID)
	if len(p.before) == 0 && t.changes.filling.Load() {
		return // fill is still to come, and settles it
	}
	var wake woken
	t.changes.settle(p.ref, p.entry, false, slices.Concat(p.before, p.session.SharedWithOrgIDs), &wake)
	wake.wake()
}

// endDue notes which sessions have ended because the time for it has come.
func (t *Table) endDue() {
	next := t.endings.next.Load()
	if next == math.MaxInt64 {
		return
	}
	now := t.now().UnixMilli()
	if next > now {
		return
	}
	var wake woken
	for t.endNext(now, &wake) {
	}
	wake.wake()
}

func (t *Table) endNext(now int64, wake *woken) bool {
	t.endings.mu.Lock()
	defer t.endings.mu.Unlock()
	id, due := t.endings.due(now)
	if due {
		ref, e := t.records.update(id, func(r *record) { r.set(hasEnded, true) })
		t.changes.settle(ref, e, false, t.shares.of(id), wake)
	}
	return due
}

// Publish takes note of points that ClickHouse has, each as it is stored. The newest one of a
// session that is not an outlier is shown, of two with the same identity the higher version; late
// and repeated ones are harmless. Marks of stored points go through BeginMark and EndMark instead.
// Points of a session that was never put are kept but seen by nobody. It keeps nothing of points. The error is always nil.
func (t *Table) Publish(points []schema.OwnedPoint) error {
	if len(points) < manyPublished {
		t.publish(points)
		return nil
	}
	// It does not matter in which order, so two processors take half of them each.
	half := make(chan struct{})
	go func() {
		defer close(half)
		t.publish(points[:len(points)/2])
	}()
	t.publish(points[len(points)/2:])
	<-half
	return nil
}

// manyPublished is from how many points on another processor takes half of them: most of the time goes to waiting for memory.
const manyPublished = 2_000

// publish is Publish on one processor.
func (t *Table) publish(points []schema.OwnedPoint) {
	now := t.now().UnixMilli()
	var changed []schema.ID // what is shown of them; neighbours once
	var wake woken
	for i := range points {
		if i%prefetchLen == 0 {
			t.prefetch(points[i:min(i+prefetchLen, len(points))])
		}
		p := &points[i].DataPoint
		moved, shown := false, false
		ref, e := t.records.update(p.SessionID, func(r *record) {
			moved = !r.has(hasPoint) || p.Timestamp > r.newest
			shown = r.publish(p)
		})
		if shown {
			t.changes.moved(ref, e, &wake)
		}
		if shown && (len(changed) == 0 || changed[len(changed)-1] != p.SessionID) {
			changed = append(changed, p.SessionID)
		}
		if moved {
			t.counts.lag.Observe((now - p.Timestamp) * int64(time.Millisecond))
		}
	}
	t.watches.wakeEach(changed)
	wake.wake()
	// A late point changes nothing that is saved, but its session carries the watermark onward.
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range points {
		t.dirty[points[i].SessionID] = struct{}{}
	}
}

func (t *Table) prefetch(points []schema.OwnedPoint) {
	var ids [prefetchLen]schema.ID
	for i := range points {
		ids[i] = points[i].SessionID
	}
	t.records.prefetch(ids[:len(points)], new(located))
}

// Prefetch is a hint that LastKnown will be asked about the sessions next: fetching many from
// memory at once takes a fraction of the time that one after the other does.
func (t *Table) Prefetch(sessions []schema.ID) {
	for some := range slices.Chunk(sessions, prefetchLen) {
		t.records.prefetch(some, new(located))
	}
}

// LastKnown returns the timestamp (Unix milliseconds) of a session's newest point, outlier or not, and fills shown with
// the newest that is no outlier or, when all are, with the newest of those. It returns false when there is none.
func (t *Table) LastKnown(session schema.ID, shown *schema.DataPoint) (newest int64, known bool) {
	e := t.records.find(session)
	if e == nil {
		return 0, false
	}
	var words [recordWords]uint64
	e.load(&words)
	var r record
	r.unpackAccess(&words)
	if !r.has(hasPoint) {
		return 0, false
	}
	unpackPoint(&words, shown)
	return int64(words[3]), true
}

// Lookup fills p with the newest point of a session, given by the text of its id, as a caller of an
// organisation sees it. It allocates nothing and keeps neither sessionID nor p, whose content is
// unspecified unless the answer is Found.
func (t *Table) Lookup(sessionID []byte, orgID string, p *schema.DataPoint) Status {
	return t.counts.look(t.lookup(sessionID, schema.Viewer{OrgID: orgID}, p))
}

// Peek is Lookup by a parsed id for callers that may yet leave the request to Lookup: CountLookup counts
// what they answered.
func (t *Table) Peek(session schema.ID, orgID string, p *schema.DataPoint) Status {
	return t.look(session, schema.Viewer{OrgID: orgID}, p)
}

// CountLookup counts a look-up that was answered by Peek.
func (t *Table) CountLookup(found Status) {
	t.counts.look(found)
}

// Sight is what a look-up has found of a session: Point is of no meaning unless Status is Found.
type Sight struct {
	Status Status
	Point  schema.DataPoint
}

// LookupEach is Lookup of many sessions by their ids, in a fraction of the time: fetched from memory together, they wait for it once.
// sights is as long as sessions.
func (t *Table) LookupEach(sessions []schema.ID, orgID string, sights []Sight) {
	who := schema.Viewer{OrgID: orgID}
	var entries [prefetchLen]*entry
	var outcomes [Found + 1]int64
	for len(sessions) > 0 {
		n := min(len(sessions), prefetchLen)
		theirs := t.records.findEach(sessions[:n], &entries)
		for i := range n {
			s := &sights[i]
			s.Status = t.lookAt(entries[i], theirs>>i&1 != 0, sessions[i], who, &s.Point)
			outcomes[s.Status]++
		}
		sessions, sights = sessions[n:], sights[n:]
	}
	t.counts.lookedAt(&outcomes)
}

// LookupPublic is Lookup for a caller without a credential, who sees sessions that are public.
func (t *Table) LookupPublic(sessionID []byte, p *schema.DataPoint) Status {
	return t.counts.look(t.lookup(sessionID, schema.Viewer{Public: true}, p))
}

// lookup is Lookup for whoever asks, and counts nothing.
func (t *Table) lookup(sessionID []byte, who schema.Viewer, p *schema.DataPoint) Status {
	id, ok := schema.ParseID(sessionID)
	if !ok {
		return NotFound
	}
	return t.look(id, who, p)
}

// look is lookup by a parsed id.
func (t *Table) look(id schema.ID, who schema.Viewer, p *schema.DataPoint) Status {
	e, is := t.records.findOrAnother(id)
	return t.lookAt(e, is, id, who, p)
}

// lookAt is look for whoever has found the session's entry, or another one.
func (t *Table) lookAt(e *entry, is bool, id schema.ID, who schema.Viewer, p *schema.DataPoint) Status {
	if e == nil {
		return NotFound
	}
	var words [recordWords]uint64
	e.load(&words)
	var r record
	r.unpackAccess(&words)
	if !t.maySee(id, who, &r) || !is {
		return NotFound
	}
	unpackPoint(&words, p)
	if !r.has(hasPoint) || p.Outlier != schema.NotOutlier {
		return NoPoint
	}
	return Found
}

// maySee checks access to a session whose record is r.
func (t *Table) maySee(id schema.ID, who schema.Viewer, r *record) bool {
	switch {
	case r.owner == 0:
		return false
	case who.Public:
		return r.has(isPublic)
	case t.orgs.name(r.owner) == who.OrgID:
		return true
	}
	return r.has(isShared) && t.shares.has(id, who.OrgID)
}

// Exists reports whether there is a session that who may see.
func (t *Table) Exists(id schema.ID, who schema.Viewer) bool {
	_, ok := t.Owner(id, who)
	return ok
}

// Owner returns the organisation of a session, and false unless who may see it.
func (t *Table) Owner(id schema.ID, who schema.Viewer) (orgID string, ok bool) {
	e, is := t.records.findOrAnother(id)
	if e == nil {
		return "", false
	}
	var words [recordWords]uint64
	e.load(&words)
	var r record
	r.unpackAccess(&words)
	if !t.maySee(id, who, &r) || !is {
		return "", false
	}
	return t.orgs.name(r.owner), true
}

// SharedWith returns the sessions of others that an organisation may see, in no particular order.
func (t *Table) SharedWith(orgID string) []schema.ID {
	return slices.DeleteFunc(t.shares.with(orgID), func(id schema.ID) bool { return !t.Exists(id, schema.Viewer{OrgID: orgID}) })
}

// Unshared counts how often a session ceased to be shared with an organisation. It has counted a change before PutSession
// returns.
func (t *Table) Unshared() uint64 { return t.shares.ended.Load() }

// Newest returns what is shown of a session to those who may see it, nil when that is nothing.
func (t *Table) Newest(id schema.ID) *schema.DataPoint {
	var r record
	if !t.records.get(id, &r) || r.status() != Found {
		return nil
	}
	return &r.point
}

// Spots fills spots with the number of each session's record, which the session keeps for as long as the table lives, so
// that who asks about the same ones again and again need not look for them each time: the shard in the upper eight bits,
// and below them what counts from 1 in each shard. It makes sessions known that were not. spots is as long as ids.
func (t *Table) Spots(ids []schema.ID, spots []uint32) {
	for len(ids) > 0 {
		n := min(len(ids), prefetchLen)
		var at located
		t.records.prefetch(ids[:n], &at)
		for i, id := range ids[:n] {
			ref, ok := t.records.refHashed(id, at.hashes[i])
			if !ok {
				ref, _ = t.records.updateHashed(id, at.hashes[i], func(*record) {})
			}
			spots[i] = uint32(ref)
		}
		ids, spots = ids[n:], spots[n:]
	}
}

// Find returns the spot and the organisation of a session, and false unless who may see it.
func (t *Table) Find(id schema.ID, who schema.Viewer) (spot uint32, orgID string, ok bool) {
	if orgID, ok = t.Owner(id, who); !ok {
		return 0, "", false
	}
	ref, ok := t.records.ref(id)
	return uint32(ref), orgID, ok
}

// NotSeen is what SeenAt says of a session that has no point to show.
const NotSeen = math.MinInt64

// SeenAt fills at with the timestamp (Unix milliseconds) of what is shown of each of some sessions, given by
// their spots, or NotSeen. at is as long as spots.
func (t *Table) SeenAt(spots []uint32, at []int64) {
	var entries [2 * prefetchLen]*entry
	for len(spots) > 0 {
		n := min(len(spots), len(entries))
		for i, spot := range spots[:n] {
			entries[i] = t.records.at(changelog.Ref(spot))
		}
		for i, e := range entries[:n] {
			at[i] = int64(e.words[2].Load() ^ e.words[4].Load()) // side by side, the waits for memory are as one
		}
		for i, e := range entries[:n] {
			at[i] = e.seenAt()
		}
		spots, at = spots[n:], at[n:]
	}
}

// Moved returns the spots of an organisation's own sessions of which SeenAt has come to say something else since Moved
// last returned them. Of one that changes meanwhile either this call or the next one tells.
func (t *Table) Moved(orgID string) []uint32 {
	return t.records.takeMoves(t.orgs.number(orgID))
}

// Checkpoint returns what is known of a session's newest points, and false when there are none.
func (t *Table) Checkpoint(session schema.ID) (schema.Checkpoint, bool) {
	var r record
	if !t.records.get(session, &r) || !r.has(hasPoint) {
		return schema.Checkpoint{}, false
	}
	c := r.checkpoint()
	c.Stale = false
	return c, true
}
