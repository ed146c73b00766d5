package latest

import (
	"log/slog"
	"slices"
	"sync"
	"time"

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
// read lock with a sixty-fourth of the sessions. It takes about 120 bytes a session.
type Table struct {
	db  *schema.DB
	now func() time.Time
	log *slog.Logger

	records *records
	orgs    *organisations
	shares  shares

	watches watches

	mu    sync.Mutex
	dirty map[schema.ID]struct{} // changed since it was last saved

	saver  saver
	counts counts
}

// New returns an empty table over db. Load fills it; Run keeps its checkpoint in ClickHouse
// up to date. now is the clock (time.Now in production).
func New(db *schema.DB, now func() time.Time) *Table {
	return &Table{
		db: db, now: now, log: slog.Default(),
		records: newRecords(), orgs: newOrganisations(), dirty: make(map[schema.ID]struct{}),
		saver:  saver{saving: make(chan struct{}, 1), interval: time.Second},
		counts: counts{lag: measure.NewHistogram(measure.LagBounds())},
	}
}

// Len returns the number of sessions in the table.
func (t *Table) Len() int {
	return t.records.len()
}

// PutSession makes a session known, or changes who may see it. Of two calls for one session the
// later one counts.
func (t *Table) PutSession(s schema.Session) {
	t.shares.set(s.ID, slices.Clone(s.SharedWithOrgIDs))
	owner := t.orgs.number(s.OrgID)
	t.records.update(s.ID, func(r *record) {
		r.owner = owner
		r.set(isPublic, s.Public != nil && *s.Public)
		r.set(isShared, len(s.SharedWithOrgIDs) > 0)
	})
	t.watches.wake(s.ID)
}

// Publish takes note of points that ClickHouse has, each as it is stored. The newest one of a
// session that is not an outlier is shown, of two with the same identity the higher version; late
// and repeated ones are harmless. Marks of stored points go through BeginMark and EndMark instead.
// Points of a session that was never put are kept but seen by nobody. It keeps nothing of points.
func (t *Table) Publish(points []schema.OwnedPoint) {
	now := t.now().UnixMilli()
	var changed []schema.ID // what is shown of them; neighbours once
	for i := range points {
		if i%prefetchLen == 0 {
			t.prefetch(points[i:min(i+prefetchLen, len(points))])
		}
		p := &points[i].DataPoint
		moved, shown := false, false
		t.records.update(p.SessionID, func(r *record) {
			moved = !r.has(hasPoint) || p.Timestamp > r.newest
			shown = r.publish(p)
		})
		if shown && (len(changed) == 0 || changed[len(changed)-1] != p.SessionID) {
			changed = append(changed, p.SessionID)
		}
		if moved {
			t.counts.lag.Observe((now - p.Timestamp) * int64(time.Millisecond))
		}
	}
	t.watches.wakeEach(changed)
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
	t.records.prefetch(ids[:len(points)])
}

// Prefetch is a hint that NewestTimestamp will be asked about the sessions next: fetching many from
// memory at once takes a fraction of the time that one after the other does.
func (t *Table) Prefetch(sessions []schema.ID) {
	for some := range slices.Chunk(sessions, prefetchLen) {
		t.records.prefetch(some)
	}
}

// NewestTimestamp returns the timestamp (Unix milliseconds) of a session's newest point, outlier or
// not, and false when it has none.
func (t *Table) NewestTimestamp(session schema.ID) (ms int64, known bool) {
	var r record
	if !t.records.get(session, &r) || !r.has(hasPoint) {
		return 0, false
	}
	return r.newest, true
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
	e := t.records.find(id)
	if e == nil {
		return NotFound
	}
	var words [recordWords]uint64
	e.load(&words)
	var r record
	r.unpackAccess(&words)
	if !t.maySee(id, who, &r) {
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
	var r record
	if !t.records.get(id, &r) || !t.maySee(id, who, &r) {
		return "", false
	}
	return t.orgs.name(r.owner), true
}

// Newest returns what is shown of a session to those who may see it, nil when that is nothing.
func (t *Table) Newest(id schema.ID) *schema.DataPoint {
	var r record
	if !t.records.get(id, &r) || r.status() != Found {
		return nil
	}
	return &r.point
}

// A spot is where the record of a session lies: the shard in the upper eight bits, and below them a number that
// counts from 0 in each shard. A record keeps its spot for as long as the table lives, so that who asks about the
// same sessions again and again need not look for them each time.

// Spot returns the spot of a session, which it makes known if it was not.
func (t *Table) Spot(id schema.ID) uint32 {
	if spot, ok := t.records.spot(id); ok {
		return spot
	}
	t.records.update(id, func(*record) {})
	spot, _ := t.records.spot(id)
	return spot
}

// Find returns the spot and the organisation of a session, and false unless who may see it.
func (t *Table) Find(id schema.ID, who schema.Viewer) (spot uint32, orgID string, ok bool) {
	if orgID, ok = t.Owner(id, who); !ok {
		return 0, "", false
	}
	spot, ok = t.records.spot(id)
	return spot, orgID, ok
}

// NotSeen is what SeenAt says of a session that has no point to show.
const NotSeen = -1 << 63

// SeenAt fills at with the timestamp (Unix milliseconds) of what is shown of each of some sessions, given by
// their spots, or NotSeen. at is as long as spots.
func (t *Table) SeenAt(spots []uint32, at []int64) {
	var entries [2 * prefetchLen]*entry
	for len(spots) > 0 {
		n := min(len(spots), len(entries))
		for i, spot := range spots[:n] {
			entries[i] = t.records.shards[spot>>(32-shardBits)].index.Load().entry(spot & (1<<(32-shardBits) - 1))
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
