package changes

import (
	"lastseen/query/latest"
	"lastseen/query/wire"
	"lastseen/schema"
)

// MaxLimit is the most sessions that one answer has.
const MaxLimit = 10_000

const cursorAdvice = "Use a cursor as it came, with the org_scope of the request that it came from, or leave it out to begin anew."

// cursorKeySize is the least number of bytes of the key that signs cursors.
const cursorKeySize = 32

// Reader answers what has changed. It is safe for concurrent use.
type Reader struct {
	table   *latest.Table
	cursors cursors
}

// New returns a Reader of what a table shows. cursorKey signs the cursors; it must have at least 32 bytes and stay the
// same from one start to the next.
func New(table *latest.Table, cursorKey []byte) *Reader {
	if len(cursorKey) < cursorKeySize {
		panic("changes: the key of the cursors is too short") // a mistake in the program
	}
	return &Reader{table: table, cursors: cursors{cursorKey}}
}

// Changes follow what changes of the sessions that an organisation sees. They belong to one goroutine.
type Changes struct {
	*latest.Follower
	reader *Reader
	orgID  string
	scope  schema.OrgScope
	reset  bool
}

// Elsewhere reports whether a cursor is of the table of another process, which is named: see latest.Table.SetRun. Only there
// does it lead on.
func (r *Reader) Elsewhere(orgID string, scope schema.OrgScope, cursor string) (run uint64, elsewhere bool) {
	place, ok := r.cursors.parse(cursor, orgID, scope)
	return place.Run, ok && !r.table.Holds(place)
}

// Follow begins to follow: from a cursor, or from the beginning, where every session is given first, if that is empty.
// A text that is no cursor of the same organisation and scope is a schema.Invalid about cursor. It must be stopped if it
// is told to watch.
func (r *Reader) Follow(orgID string, scope schema.OrgScope, cursor string) (*Changes, error) {
	c := &Changes{reader: r, orgID: orgID, scope: scope}
	var from *latest.Place
	if cursor != "" {
		place, ok := r.cursors.parse(cursor, orgID, scope)
		if !ok {
			return nil, schema.Invalid.About("cursor", cursorAdvice)
		}
		from = &place
	}
	c.Follower, c.reset = r.table.Follow(orgID, scope, from)
	return c, nil
}

// AppendCursor appends the cursor of what comes next.
func (c *Changes) AppendCursor(dst []byte) []byte {
	place := c.Place()
	return c.reader.cursors.append(dst, c.orgID, c.scope, &place)
}

// Reset reports whether the cursor was too old, so that every session is given anew and the caller should forget what it
// has.
func (c *Changes) Reset() bool { return c.reset }

// AppendPage appends an answer in JSON with up to limit sessions, and returns how many they are.
func (c *Changes) AppendPage(dst []byte, limit int) (page []byte, sessions int) {
	var left []schema.ID
	dst = append(dst, `{"data_points":[`...)
	first := true
	sessions, more := c.Read(limit, func(p *schema.DataPoint) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = wire.AppendDataPoint(dst, p)
	}, func(id schema.ID) { left = append(left, id) })
	dst = append(dst, `],"gone":[`...)
	for i, id := range left {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(id.AppendHex(dst), '"')
	}
	dst = append(dst, `],"next_cursor":"`...)
	dst = append(c.AppendCursor(dst), `","more":`...)
	if more {
		dst = append(dst, `true`...)
	} else {
		dst = append(dst, `false`...)
	}
	if c.reset {
		dst = append(dst, `,"reset":true`...)
		c.reset = false
	}
	return append(dst, '}'), sessions
}

// AppendEvents appends server-sent events about up to limit sessions: last_seen with a data point, gone with the id of a
// session, and before them, where the cursor was too old, reset. The last of them carries the cursor as its id, which a
// client that comes back names. It appends nothing when nothing has happened.
func (c *Changes) AppendEvents(dst []byte, limit int) (events []byte, more bool) {
	begin := len(dst)
	if c.reset {
		dst = append(dst, "event: reset\ndata: {}\n\n"...)
		c.reset = false
	}
	sessions, more := c.Read(limit, func(p *schema.DataPoint) {
		dst = append(dst, "event: last_seen\ndata: "...)
		dst = append(wire.AppendDataPoint(dst, p), "\n\n"...)
	}, func(id schema.ID) {
		dst = append(dst, "event: gone\ndata: {\"session_id\":\""...)
		dst = append(id.AppendHex(dst), "\"}\n\n"...)
	})
	if sessions > 0 || len(dst) > begin {
		dst = append(dst[:len(dst)-1], "id: "...)
		dst = append(c.AppendCursor(dst), "\n\n"...)
	}
	return dst, more
}
