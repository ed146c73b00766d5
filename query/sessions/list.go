package sessions

import (
	"time"

	"lastseen/schema"
)

// listing is one page of a list in the making.
type listing struct {
	reader  *Reader
	orgID   string
	request *ListRequest
	now     time.Time

	from    cursor // the zero cursor on a numbered page
	given   []place
	skipped *placeSet // what was given, nil where the place in the order tells
	guessed bool      // what was given is forgotten, and is found again as well as can be

	ranking ranking
	total   int // that match
	left    int // of them, those that were not given
}

// moveMargin is how long a point may take from its receipt until it is seen: its insert may take half a minute.
const moveMargin = time.Minute

// mostRemembered is how many sessions may lie before a numbered page for its cursor to know them one by one.
const mostRemembered = 10_000

// make makes the page.
func (l *listing) make() (Page, error) {
	first, err := l.begin()
	if err != nil {
		return Page{}, err
	}
	r := l.request
	l.ranking.wanted = first + r.PageSize
	s := scan{
		index: l.reader.index, orgID: l.orgID, scope: r.Filter.Scope, criteria: newCriteria(&r.Filter, l.now),
		seen: r.SortBy == ByLastSeenAt, backward: r.Descending, found: l.found,
	}
	s.run()
	before, ranks := l.ranking.page(first, first+r.PageSize)
	page := Page{Items: make([]View, 0, len(ranks)), TotalCount: l.total}
	for i := range ranks {
		if view, ok := l.reader.viewAt(l.orgID, ranks[i].place(), l.now); ok {
			page.Items = append(page.Items, view)
		}
	}
	if len(ranks) > 0 && l.left > first+len(ranks) {
		page.NextCursor = l.next(before, ranks)
	}
	return page, nil
}

// begin reads the cursor, and returns how many sessions stand before the page in what is left.
func (l *listing) begin() (first int, err error) {
	r := l.request
	if r.Cursor == "" {
		l.from = cursor{began: l.now.UnixMilli()}
		l.from.last.key = -lastKey // before everything
		return (r.Page - 1) * r.PageSize, nil
	}
	if l.from, err = l.reader.cursors.parse(r.Cursor, l.orgID, r); err != nil {
		return 0, err
	}
	if l.fixed() {
		return 0, nil
	}
	var own uint32
	if f := l.reader.index.known(l.orgID); f != nil {
		own = f.number
	}
	var known bool
	l.given, known = l.reader.walks.given(l.orgID, l.from.walk, l.from.given)
	l.skipped, l.guessed = newPlaceSet(l.given, own), !known
	return 0, nil
}

// fixed reports whether sessions keep their places in the order, so that a place says all that was given.
func (l *listing) fixed() bool { return l.request.SortBy == ByCreatedAt }

// found takes note of rows that match.
func (l *listing) found(f *fleet, rows []uint32, seen []int64) {
	l.total += len(rows)
	one := rank{fleet: f.number}
	for i, number := range rows {
		one.row = number
		if l.request.SortBy == ByLastSeenAt { // for most of many rows, which need not be looked at, nothing else counts
			one.key = l.key(seen[i], seen[i] != notSeen)
		} else {
			r, _ := f.row(number)
			one.key = l.key(l.sortValue(r))
		}
		if l.request.Cursor != "" && l.wasGiven(&one, f) {
			continue
		}
		l.left++
		if l.ranking.full && one.key > l.ranking.worst.key {
			continue
		}
		r, _ := f.row(number)
		one.setID(r.id)
		l.ranking.add(&one)
	}
}

// sortValue returns the time that a row is sorted by, and false when there is none.
func (l *listing) sortValue(r *row) (at int64, there bool) {
	switch l.request.SortBy {
	case ByTerminationScheduledFor:
		return r.scheduledFor, r.scheduledFor != 0
	case ByTerminatedAt:
		return r.endedAt(l.now.UnixMilli())
	}
	return r.createdAt, true
}

// key is the place of a row with a sort value, if it has one, in the order.
func (l *listing) key(at int64, there bool) int64 {
	switch {
	case !there:
		return lastKey
	case l.request.Descending:
		return -at
	}
	return at
}

// wasGiven reports whether a session was on an earlier page of the walk. Where that is forgotten it was if it stands
// before the place that the walk has come to and has stood there since the walk began; the others before that place
// are given at the end, in the order of their ids, so that the walk comes to an end however often it is forgotten. The
// fleet of the session is locked.
func (l *listing) wasGiven(one *rank, f *fleet) bool {
	if !l.fixed() && !l.guessed {
		return l.skipped.has(one.place())
	}
	r, _ := f.row(one.row)
	one.setID(r.id)
	if l.fixed() {
		return !l.from.last.before(one)
	}
	if l.from.last.before(one) {
		return false
	}
	if l.mayHaveMoved(r) {
		if one.key = movedKey; l.from.last.before(one) {
			return false
		}
	}
	// It will not be found out again on the next page.
	l.given = append(l.given, one.place())
	return true
}

// mayHaveMoved reports whether a session may have come to its place in the order since the walk began.
func (l *listing) mayHaveMoved(r *row) bool {
	since := l.from.began - moveMargin.Milliseconds()
	switch l.request.SortBy {
	case ByLastSeenAt:
		p := l.reader.index.newest.Newest(r.id)
		return p != nil && p.ReceivedAt > since
	case ByTerminatedAt:
		at, ended := r.endedAt(l.now.UnixMilli())
		return ended && at > since
	}
	return false
}

// next returns the cursor of what follows a page.
func (l *listing) next(before, page []rank) string {
	next := cursor{began: l.from.began, last: l.from.last}
	if last := page[len(page)-1]; next.last.before(&last) {
		next.last = last
	}
	if !l.fixed() && len(before) <= mostRemembered {
		var more []place
		for _, ranks := range [][]rank{before, page} {
			for i := range ranks {
				more = append(more, ranks[i].place())
			}
		}
		walk := l.from.walk
		if l.guessed {
			walk = 0
		}
		next.walk = l.reader.walks.remember(l.orgID, walk, l.given, more)
		next.given = uint32(len(l.given) + len(more))
	}
	return l.reader.cursors.sign(l.orgID, l.request, &next)
}

// viewAt shows a session that an organisation may see, and false when it no longer does.
func (s *Reader) viewAt(orgID string, p place, now time.Time) (View, bool) {
	session, ok := s.index.at(p.fleet()).session(orgID, p.row())
	if !ok {
		return View{}, false
	}
	v := View{Session: session, LastSeen: s.index.newest.Newest(session.ID)}
	v.Ended, _ = session.EndedAt(now)
	return v, true
}

// Get returns a session by the text of its id, or schema.NotFound.
func (s *Reader) Get(orgID, sessionID string) (View, error) {
	id, ok := schema.ParseID(sessionID)
	if !ok {
		return View{}, schema.NoSession
	}
	spot, owner, ok := s.index.newest.Find(id, schema.Viewer{OrgID: orgID})
	if !ok {
		return View{}, schema.NoSession
	}
	number, ok := s.index.rowAt(spot)
	if !ok {
		return View{}, schema.NoSession
	}
	view, ok := s.viewAt(orgID, placeOf(s.index.fleet(owner), number), s.now())
	if !ok {
		return View{}, schema.NoSession
	}
	return view, nil
}
