package ingest

import (
	"lastseen/ingest/registry"
	"lastseen/schema"
)

// group is the points of one insert, those of a group of requests or of a slice. Its memory is kept for the next.
type group struct {
	session  func(schema.ID) groupSession
	rows     []schema.OwnedPoint // one an identity: of several in the group the last
	find     []bool              // for each row, whether it may be stored already
	from     []int32             // for each row, its request's place in the group
	of       []int32             // for each row, its session's place in states
	replaced []int               // for each request, how many of its points took the place of one with other values
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

	doubts // what says which of its points cannot be true
}

func newGroup() group {
	return group{sessions: make(map[schema.ID]int32), byKey: make(map[schema.PointKey]int)}
}

// reset drops the points.
func (g *group) reset() {
	clear(g.rows)
	clear(g.states)
	g.rows, g.find, g.states, g.keys = g.rows[:0], g.find[:0], g.states[:0], g.keys[:0]
	g.from, g.of, g.replaced = g.from[:0], g.of[:0], g.replaced[:0]
	clear(g.sessions)
	clear(g.byKey)
	g.indexed, g.latest = false, 0
}

// begin makes what is added from here on the points of the next request.
func (g *group) begin() { g.replaced = append(g.replaced, 0) }

// add puts a point into the group, in place of one with the same identity.
func (g *group) add(p *schema.DataPoint, orgID string, o *registry.Owner) {
	s := g.state(p.SessionID)
	s.setting = o.Outliers
	row := schema.OwnedPoint{DataPoint: *p, OrgID: orgID, DeviceID: o.DeviceID}
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
			if !row.SameValues(&g.rows[i].DataPoint) {
				g.replaced[len(g.replaced)-1]++
			}
			g.rows[i], g.from[i] = row, int32(len(g.replaced)-1)
			return
		}
		g.byKey[keyOf(p)] = len(g.rows)
	}
	g.rows, g.find, g.from = append(g.rows, row), append(g.find, find), append(g.from, int32(len(g.replaced)-1))
	g.of = append(g.of, g.latest)
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
				g.states[g.of[i]].review = true
				g.replaced[g.from[i]]++
			}
		}
		p.ReceivedAt = now
		g.rows[fresh], g.rows[i] = g.rows[i], g.rows[fresh]
		g.of[fresh], g.of[i] = g.of[i], g.of[fresh]
		fresh++
	}
	return g.rows[:fresh]
}

// monthsOf returns in how many months points lie, as far as neighbours are in one: at least as many as there are.
func monthsOf(rows []schema.OwnedPoint) (months int) {
	var last month
	for i := range rows {
		if !last.has(rows[i].Timestamp) {
			last = monthOf(rows[i].Timestamp)
			months++
		}
	}
	return months
}
