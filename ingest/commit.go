package ingest

import (
	"context"
	"math"
	"time"

	"lastseen/ingest/decode"
	"lastseen/schema"
)

// statementTimeout bounds what the committer asks of ClickHouse. A start of the service replays the
// points received in the last minute before its checkpoint, so no insert may take longer than that.
const statementTimeout = 30 * time.Second

// committer is the single writer of data points. It belongs to the Writer's goroutine; that nobody
// else writes points is what lets it tell new ones from those that are there.
type committer struct {
	db       *schema.DB
	lastSeen LastSeen
	marker   Marker
	now      func() time.Time

	group      group
	prefetched []schema.ID // scratch
	// unsure are the sessions for which an insert failed whose outcome is not known: their points
	// may be stored though last_seen never heard of them.
	unsure map[schema.ID]unsure
	// unsettled are the sessions that were marked and of which last_seen could not be told yet.
	unsettled map[schema.ID]struct{}

	receipts receipts
	counts   *writerCounts
}

// unsure is what an insert whose outcome is unknown may have written of a session.
type unsure struct {
	until   int64  // the newest timestamp, Unix milliseconds
	version uint32 // above the version of each of its rows
}

func newCommitter(db *schema.DB, lastSeen LastSeen, marker Marker, now func() time.Time) committer {
	return committer{
		db: db, lastSeen: lastSeen, marker: marker, now: now, group: newGroup(),
		unsure: make(map[schema.ID]unsure), unsettled: make(map[schema.ID]struct{}), counts: newWriterCounts(),
	}
}

// write stores the points of a group of requests and shows them. On an error, which matches
// schema.Unavailable or schema.DiskFull, nothing is shown.
func (c *committer) write(requests []*request) error {
	c.settle(nil) // on an error the sessions stay to be settled, and these points are no worse off
	g := &c.group
	defer g.reset()
	g.session = c.knowledge
	for _, r := range requests {
		c.prefetch(r.batch)
		for i := range r.batch.Points {
			p := &r.batch.Points[i]
			o := &r.batch.Targets[p.Target].Owner
			p.SessionID = o.Session
			g.add(&p.DataPoint, r.orgID, o.DeviceID)
		}
	}
	stored, err := c.find(g.keysToFind())
	if err != nil {
		return schema.Failure(err)
	}
	stamp := c.receipts.next(c.now().UnixMilli())
	fresh := g.separate(stored, stamp)
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	began := time.Now()
	if err := c.db.InsertDataPoints(ctx, fresh); err != nil {
		if !schema.NeverBegun(err) {
			c.doubt(fresh)
			c.receipts.fail(stamp)
		}
		c.counts.failures.Add(1)
		return schema.Failure(err)
	}
	if len(fresh) > 0 { // what is settled never passes what is stored; see receipts.begin
		c.receipts.done(stamp, c.now())
	}
	c.counts.inserted(len(requests), len(fresh), len(g.rows)-len(fresh), began)
	// Points that were there already are shown too: an insert that failed may have written them.
	c.lastSeen.Publish(g.rows)
	return nil
}

// prefetch announces the sessions of a batch to last_seen.
func (c *committer) prefetch(batch *decode.Batch) {
	c.prefetched = c.prefetched[:0]
	for i := range batch.Targets {
		c.prefetched = append(c.prefetched, batch.Targets[i].Owner.Session)
	}
	c.lastSeen.Prefetch(c.prefetched)
}

// find looks points up by their identity.
func (c *committer) find(keys []schema.PointKey) (map[schema.PointKey]schema.DataPoint, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	return c.db.FindDataPoints(ctx, keys)
}

// doubt notes that an insert of rows failed and may have written some of them.
func (c *committer) doubt(rows []schema.OwnedPoint) {
	for i := range rows {
		p := &rows[i].DataPoint
		u, known := c.unsure[p.SessionID]
		if !known || p.Timestamp > u.until {
			u.until = p.Timestamp
		}
		u.version = max(u.version, p.Version+1)
		c.unsure[p.SessionID] = u
	}
}

// knowledge says what is known of a session's points without asking ClickHouse.
func (c *committer) knowledge(session schema.ID) groupSession {
	s := groupSession{newest: math.MaxInt64, last: math.MinInt64}
	newest, known := c.lastSeen.NewestTimestamp(session)
	if known {
		s.newest = newest
	}
	if u, doubtful := c.unsure[session]; doubtful {
		if known && newest >= u.until {
			delete(c.unsure, session) // all that it covers is looked up anyway
		}
		s.newest, s.version = max(s.newest, u.until), u.version
	}
	return s
}

// group is the points of one insert. Its memory is kept for the next.
type group struct {
	session  func(schema.ID) groupSession
	rows     []schema.OwnedPoint // one an identity: of several in the group the last
	find     []bool              // for each row, whether it may be stored already
	sessions map[schema.ID]int32 // places in states
	states   []groupSession
	latest   int32                   // the place of the last point's session
	byKey    map[schema.PointKey]int // places in rows; filled when a session's points are out of order
	indexed  bool
	keys     []schema.PointKey
}

// groupSession is what the committer knows of a session while it puts a group together.
type groupSession struct {
	id      schema.ID
	newest  int64  // no point that is newer is stored; Unix milliseconds
	last    int64  // the newest in the group so far
	version uint32 // the least that a new row may have
}

func newGroup() group {
	return group{sessions: make(map[schema.ID]int32), byKey: make(map[schema.PointKey]int)}
}

// reset drops the points.
func (g *group) reset() {
	clear(g.rows)
	g.rows, g.find, g.states, g.keys = g.rows[:0], g.find[:0], g.states[:0], g.keys[:0]
	clear(g.sessions)
	clear(g.byKey)
	g.indexed, g.latest = false, 0
}

// add puts a point into the group, in place of one with the same identity.
func (g *group) add(p *schema.DataPoint, orgID string, deviceID schema.ID) {
	s := g.state(p.SessionID)
	row := schema.OwnedPoint{DataPoint: *p, OrgID: orgID, DeviceID: deviceID}
	row.Version = s.version
	find := p.Timestamp <= s.newest
	// Mostly a session's points come in the order of their time, and cannot be there twice.
	inOrder := p.Timestamp > s.last
	if inOrder {
		s.last = p.Timestamp
	} else if !g.indexed {
		for i := range g.rows {
			g.byKey[keyOf(&g.rows[i].DataPoint)] = i
		}
		g.indexed = true
	}
	if g.indexed {
		if i, there := g.byKey[keyOf(p)]; there {
			g.rows[i] = row
			return
		}
		g.byKey[keyOf(p)] = len(g.rows)
	}
	g.rows, g.find = append(g.rows, row), append(g.find, find)
}

func keyOf(p *schema.DataPoint) schema.PointKey {
	return schema.PointKey{SessionID: p.SessionID, Timestamp: p.Timestamp}
}

// state returns what is known of a session, valid until the next call.
func (g *group) state(session schema.ID) *groupSession {
	if len(g.states) > 0 && g.states[g.latest].id == session {
		return &g.states[g.latest]
	}
	place, there := g.sessions[session]
	if !there {
		place = int32(len(g.states))
		s := g.session(session)
		s.id = session
		g.states = append(g.states, s)
		g.sessions[session] = place
	}
	g.latest = place
	return &g.states[place]
}

// keysToFind returns the identities of the points that may be stored already.
func (g *group) keysToFind() []schema.PointKey {
	for i, find := range g.find {
		if find {
			g.keys = append(g.keys, keyOf(&g.rows[i].DataPoint))
		}
	}
	return g.keys
}

// separate compares the group with what is stored and returns the rows to write. The others become
// what is stored of them.
func (g *group) separate(stored map[schema.PointKey]schema.DataPoint, now int64) []schema.OwnedPoint {
	fresh := 0
	for i := range g.rows {
		p := &g.rows[i]
		if g.find[i] {
			if there, ok := stored[keyOf(&p.DataPoint)]; ok {
				if p.SameValues(&there) {
					p.DataPoint = there
					continue
				}
				p.Version = max(p.Version, there.Version+1)
				p.Outlier = there.Outlier
			}
		}
		p.ReceivedAt = now
		g.rows[fresh], g.rows[i] = g.rows[i], g.rows[fresh]
		fresh++
	}
	return g.rows[:fresh]
}
