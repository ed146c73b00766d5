package history

import "lastseen/schema"

// Order is the order in which a history gives its points.
type Order uint8

// The orders of a history.
const (
	// OrderTimestamp is by when the points were recorded. Its pages one after the other are the answer
	// without pages, as long as no points arrive that lie before what was given already.
	OrderTimestamp Order = iota
	// OrderReceived is by when the points arrived, a feed that never ends: who goes on from its cursor
	// gets every point, however late it arrives, and every replacement.
	OrderReceived
	orderCount
)

// MaxPageLimit is the most points that a page may have, and that an answer of OrderReceived has without
// a limit.
const MaxPageLimit = 1_000_000

const (
	cursorAdvice     = "Use a cursor as it came, with the session_id, start_timestamp, end_timestamp, bucket_seconds and order of the request that it came from, or leave it out to begin anew."
	feedCursorAdvice = "Use a cursor as it came, with the org_scope and received_after of the request that it came from, or leave it out to begin anew."
)

// Watermark says how far the order of arrival is settled. An ingest.Writer has one.
type Watermark interface {
	// ReceivedThrough returns a time (Unix milliseconds) such that each point that was received by
	// then is in ClickHouse or never will be. It never decreases and is safe for concurrent use.
	ReceivedThrough() int64
	// Marked counts how often marks of points were written. It has counted one before that is acknowledged, and is
	// safe for concurrent use.
	Marked() uint64
}

// errSessionsLeft ends an answer in which there may be points of a session that the caller may no longer see.
var errSessionsLeft = schema.Busy.Say("Sessions that were shared with you are no longer; ask again for what is left.")

// page is the part of a history that one answer gives.
type page struct {
	start, end int64            // timestamps, the start inclusive, Unix milliseconds
	arrivals   *schema.Arrivals // of OrderReceived, nil otherwise
	ends       []schema.Receipt // of this page of a feed and of those that follow, where they are known
	steps      []int64          // of the times of arrival of the points of these pages, and how many those are
	counted    int64
	first      bool   // no other is before it
	whole      bool   // it is all that was asked for
	next       string // the cursor of the page that follows, empty for none
}

// openSessions finds out whose points are wanted.
func (s *Stream) openSessions() error {
	r, access := &s.request, s.history.access
	if r.AllSessions {
		if r.Scope != schema.Owned {
			s.unshared = access.Unshared() // before: a session that is lost meanwhile is noticed
			s.shared = access.SharedWith(r.OrgID)
		}
		return nil
	}
	id, ok := schema.ParseID(r.SessionID)
	if !ok || !access.Exists(id, r.viewer()) {
		return schema.NoSession
	}
	s.session = id
	return nil
}

// allowed returns an error once the caller may no longer see the session, or one of those that others share. What an
// organisation owns it keeps.
func (s *Stream) allowed() error {
	r, access := &s.request, s.history.access
	if !r.AllSessions {
		if !access.Exists(s.session, r.viewer()) {
			return schema.NoSession
		}
		return nil
	}
	if len(s.shared) == 0 {
		return nil
	}
	unshared := access.Unshared()
	if unshared == s.unshared {
		return nil
	}
	for _, id := range s.shared {
		if !access.Exists(id, r.viewer()) {
			return errSessionsLeft
		}
	}
	s.unshared = unshared
	return nil
}

// arrivals are the points of a feed that come after a place.
func (s *Stream) arrivals(after, through schema.Receipt) schema.Arrivals {
	r := &s.request
	wanted := schema.Arrivals{Session: s.session, Sessions: s.shared, Start: s.from, End: r.End, After: after, Through: through}
	if r.AllSessions && r.Scope != schema.Shared {
		wanted.OrgID = r.OrgID
	}
	return wanted
}

// openPage finds out what a request's page is. Without a limit, a cursor and OrderReceived it asks
// nothing of ClickHouse.
func (s *Stream) openPage() error {
	r := &s.request
	s.page = page{start: s.from, end: r.End, first: r.Cursor == "", whole: r.Cursor == ""}
	var place schema.Receipt
	if r.Cursor != "" {
		var ok bool
		if place, ok = s.history.cursors.parse(r.Cursor, r, s.session); !ok {
			advice := cursorAdvice
			if r.AllSessions {
				advice = feedCursorAdvice
			}
			return schema.Invalid.About("cursor", "%s", advice)
		}
	}
	if r.Order == OrderReceived {
		return s.openFeed(place)
	}
	if r.Cursor != "" {
		s.page.start = max(s.from, place.Timestamp)
	}
	if r.Limit == 0 {
		return nil
	}
	end, more, err := s.pageEnd()
	if err != nil {
		return s.failure(err)
	}
	if !more {
		return nil
	}
	s.page.end, s.page.whole = end, false
	s.page.next = s.history.cursors.sign(r, s.session, schema.Receipt{Timestamp: end})
	return nil
}

func (s *Stream) pageEnd() (int64, bool, error) {
	r, db := &s.request, s.history.db
	if r.BucketSeconds > 0 {
		return db.BucketPageEnd(s.ctx, s.session, s.page.start, s.page.end, r.BucketSeconds, r.Limit)
	}
	return db.PageEnd(s.ctx, s.session, s.page.start, s.page.end, r.Limit)
}

// openFeed finds out what a page of the order of arrival is. It ends no later than what is settled: of
// an insert that is under way some months may be visible and others not, and the cursor of who was given
// the visible ones would be past the others for good.
func (s *Stream) openFeed(after schema.Receipt) error {
	r := &s.request
	if s.page.first {
		after = schema.FirstReceipt
		if r.ReceivedAfter > 0 {
			after = schema.ReceivedBy(r.ReceivedAfter)
		}
	}
	settled := schema.ReceivedBy(s.history.watermark.ReceivedThrough())
	if settled.Before(after) {
		settled = after // the clock of another process was ahead: there is nothing new yet
	}
	arrivals := s.arrivals(after, settled)
	s.page.arrivals, s.page.whole = &arrivals, false
	pages := 1
	if s.runnable() {
		pages = runPages
		if waiting := s.history.runs.take(r, s.feedLimit(), s.history.watermark.Marked()); waiting != nil {
			s.follow(waiting)
			s.page.ends = waiting.ends
		}
	}
	if s.run == nil {
		// What is sorted takes memory by the point, so there is always a limit.
		found, err := s.history.db.ReceivedPages(s.ctx, arrivals, s.feedLimit(), pages)
		if err != nil {
			return s.failure(err)
		}
		s.page.ends, s.page.steps, s.page.counted = found.Ends, found.Steps, found.Points
		if found.Complete {
			s.page.ends = append(s.page.ends, arrivals.Through)
		}
	}
	if len(s.page.ends) > 0 {
		arrivals.Through = s.page.ends[0]
	}
	s.page.next = s.history.cursors.sign(r, s.session, arrivals.Through)
	return nil
}

// NextCursor returns the cursor of the page that follows, and an empty text when there is none. It is
// known from the beginning.
func (s *Stream) NextCursor() string { return s.page.next }

// fixedWatermark is the Watermark of a process that writes no points.
type fixedWatermark int64

// ReceivedThrough returns the time.
func (f fixedWatermark) ReceivedThrough() int64 { return int64(f) }

// Marked returns 0: the marks of others are not known.
func (f fixedWatermark) Marked() uint64 { return 0 }

// feedLimit is how many points a page of OrderReceived has at most: without a limit as many as an answer may have.
func (s *Stream) feedLimit() int {
	if s.request.Limit > 0 {
		return s.request.Limit
	}
	if most := s.history.limits.Points; most > 0 {
		return int(min(most, MaxPageLimit))
	}
	return MaxPageLimit
}

// goOnAfter reduces a page to what comes after a point.
func (p *page) goOnAfter(last *schema.DataPoint, bucketSeconds int) {
	switch {
	case p.arrivals != nil:
		p.arrivals.After = schema.Receipt{ReceivedAt: last.ReceivedAt, Session: last.SessionID, Timestamp: last.Timestamp}
	case bucketSeconds > 0: // one point was written for the whole bucket
		p.start = schema.BucketStart(last.Timestamp, bucketSeconds) + int64(bucketSeconds)*1000
	default:
		p.start = last.Timestamp + 1
	}
}
