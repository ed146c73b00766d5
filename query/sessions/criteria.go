package sessions

import (
	"bytes"
	"math"
	"slices"
	"time"

	"lastseen/schema"
)

// criteria are a Filter made ready to be held against rows.
type criteria struct {
	nothing    bool // no session can match
	everything bool // every session that is seen does, whatever is in its row
	needle     []byte
	ended      *bool
	public     *bool
	device     *schema.ID
	reference  *string
	folded     string // the reference
	hint       []byte // what the folded texts of a session contain if it matches
	flight     *string
	status     *string

	created, scheduled, terminated span

	seen   *bool
	seenAt span

	now int64 // Unix milliseconds, up to which scheduled terminations are due
}

// span is an inclusive range of Unix milliseconds.
type span struct {
	from, to int64
	set      bool
}

func spanOf(r TimeRange) span {
	s := span{from: math.MinInt64, to: math.MaxInt64, set: r != TimeRange{}}
	if !r.From.IsZero() {
		s.from = r.From.UnixMilli()
	}
	if !r.To.IsZero() {
		s.to = r.To.UnixMilli()
	}
	return s
}

// admits reports whether a time that is there, or is not, lies in the span.
func (s span) admits(at int64, there bool) bool {
	return !s.set || there && s.from <= at && at <= s.to
}

func newCriteria(f *Filter, now time.Time) criteria {
	c := criteria{
		needle: []byte(fold(f.Search)), ended: f.Terminated, public: f.Public, reference: f.OffChrtReferenceID,
		flight: f.FlightNumber, status: f.FlightLoadedStatus, seen: f.HasLastSeen,
		created: spanOf(f.CreatedAt), scheduled: spanOf(f.TerminationScheduledFor), terminated: spanOf(f.TerminatedAt), seenAt: spanOf(f.LastSeenAt),
		now: now.UnixMilli(),
	}
	if f.DeviceID != nil {
		id, ok := schema.ParseID(*f.DeviceID)
		c.device, c.nothing = &id, !ok
	}
	c.hint = c.needle
	if c.reference != nil {
		if c.folded = fold(*c.reference); len(c.folded) > len(c.hint) {
			c.hint = []byte(c.folded)
		}
	}
	if bytes.IndexByte(c.needle, 0) >= 0 {
		c.nothing = true // a NUL is in no text, and stands between them here
	}
	c.everything = len(c.needle) == 0 && c.ended == nil && c.public == nil && c.device == nil && c.reference == nil &&
		c.flight == nil && c.status == nil && !c.created.set && !c.scheduled.set && !c.terminated.set
	return c
}

// admits reports whether what a row holds matches. The caller holds the fleet's lock.
func (c *criteria) admits(f *fleet, number uint32, r *row, b *block) bool {
	if c.ended != nil || c.terminated.set {
		at, ended := r.endedAt(c.now)
		if c.ended != nil && *c.ended != ended || !c.terminated.admits(at, ended) {
			return false
		}
	}
	return (c.public == nil || *c.public == r.has(publicTrue)) &&
		(c.device == nil || *c.device == r.device) &&
		c.created.admits(r.createdAt, true) &&
		c.scheduled.admits(r.scheduledFor, r.scheduledFor != 0) &&
		(len(c.needle) == 0 || bytes.Contains(b.folded(r), c.needle)) &&
		(c.reference == nil || b.isReference(r, *c.reference, c.folded)) &&
		(c.flight == nil || r.has(hasLists) && slices.Contains(f.lists[number].flights, *c.flight)) &&
		(c.status == nil || r.has(hasLists) && slices.Contains(f.lists[number].statuses, *c.status))
}

// ofSeen reports whether it matters when sessions were last seen.
func (c *criteria) ofSeen() bool { return c.seen != nil || c.seenAt.set }

// admitsSeen reports whether when a session was last seen matches; at is notSeen for never.
func (c *criteria) admitsSeen(at int64) bool {
	return (c.seen == nil || *c.seen == (at != notSeen)) && c.seenAt.admits(at, at != notSeen)
}
