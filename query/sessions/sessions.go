package sessions

import (
	"context"
	"strings"
	"time"

	"lastseen/query/latest"
	"lastseen/schema"
)

// ListRequest says which sessions are wanted, in which order, and which page of them.
type ListRequest struct {
	Filter     schema.SessionFilter
	SortBy     schema.SessionSort
	Descending bool
	Page       int // from 1
	PageSize   int // 1 to 1000
}

// Validate returns an schema.Invalid that names the first parameter that cannot be served.
func (r *ListRequest) Validate() error {
	switch {
	case r.Page < 1 || r.Page > maxPage:
		return schema.Invalid.About("page", "This must be a whole number from 1 to 1000000000.")
	case r.PageSize < 1 || r.PageSize > maxPageSize:
		return schema.Invalid.About("page_size", "This must be a whole number from 1 to 1000.")
	}
	return nil
}

const (
	maxPage     = 1_000_000_000
	maxPageSize = 1000
	maxLimit    = 100
)

// View is a session as one caller sees it. To a caller of an organisation that is not the
// owner, SharedWithOrgIDs holds that organisation alone: whom else the owner shares with is not
// theirs to know.
type View struct {
	schema.Session
	Ended    time.Time         // when the session was terminated, by hand or by schedule; zero while it is active
	LastSeen *schema.DataPoint // the newest point that is not an outlier; nil when there is none
}

// Page is one page of a list.
type Page struct {
	Items      []View
	TotalCount int // of all pages
}

// Reader lists sessions. It is safe for concurrent use; what it returns belongs to the caller. Its
// errors match schema.NotFound, schema.Invalid or schema.Unavailable, or are that of the context.
type Reader struct {
	db       *schema.DB
	lastSeen *latest.Table
	now      func() time.Time
}

// New returns Sessions that read from db and take the newest points from lastSeen. now is
// the clock (time.Now in production).
func New(db *schema.DB, lastSeen *latest.Table, now func() time.Time) *Reader {
	return &Reader{db: db, lastSeen: lastSeen, now: now}
}

// List returns a page of the sessions that an organisation may see. Sessions whose sort value is
// unknown come last in either order, and ties are in ascending order of the id. Sorting or filtering
// by last seen takes every point into account that was acknowledged before the call.
func (s *Reader) List(ctx context.Context, orgID string, request ListRequest) (Page, error) {
	if err := request.Validate(); err != nil {
		return Page{}, err
	}
	f := &request.Filter
	if request.SortBy == schema.SortByLastSeenAt || f.HasLastSeen != nil || f.LastSeenAt != (schema.TimeRange{}) {
		if err := s.lastSeen.Flush(ctx); err != nil {
			return Page{}, err
		}
	}
	if f.DeviceID != nil {
		device := strings.ToLower(*f.DeviceID) // as ids are stored
		f.DeviceID = &device
	}
	now := s.now()
	sessions, total, err := s.db.ListSessions(ctx, schema.SessionPage{
		OrgID: orgID, Filter: *f, SortBy: request.SortBy, Descending: request.Descending,
		Limit: request.PageSize, Offset: (request.Page - 1) * request.PageSize, Now: now,
	})
	if err != nil {
		return Page{}, schema.Failure(err)
	}
	page := Page{Items: make([]View, len(sessions)), TotalCount: total}
	for i := range sessions {
		page.Items[i] = s.view(orgID, &sessions[i], now)
	}
	return page, nil
}

// view shows a session that an organisation may see.
func (s *Reader) view(orgID string, session *schema.Session, now time.Time) View {
	v := View{Session: *session}
	if session.OrgID != orgID {
		v.SharedWithOrgIDs = []string{orgID}
	}
	v.Ended, _ = session.EndedAt(now)
	v.LastSeen = s.lastSeen.Newest(session.ID)
	return v
}

// Get returns a session by the text of its id, or schema.NotFound.
func (s *Reader) Get(ctx context.Context, orgID, sessionID string) (View, error) {
	id, ok := schema.ParseID(sessionID)
	if !ok {
		return View{}, schema.NoSession
	}
	// The table knows the owner, and with it the place in ClickHouse.
	owner, ok := s.lastSeen.Owner(id, latest.Viewer{OrgID: orgID})
	if !ok {
		return View{}, schema.NoSession
	}
	session, found, err := s.db.FindSession(ctx, owner, id)
	switch {
	case err != nil:
		return View{}, schema.Failure(err)
	case !found:
		return View{}, schema.NoSession
	}
	return s.view(orgID, &session, s.now()), nil
}

// Suggestions are values that contain a text: those that begin with it first, then in alphabetical order.
type Suggestions struct {
	MACAddresses []string
	ReferenceIDs []string
}

// Typeahead returns up to limit (1 to 100) distinct values of each field, among the sessions that an
// organisation may see, that contain text in any case.
func (s *Reader) Typeahead(ctx context.Context, orgID, text string, scope schema.OrgScope, limit int) (Suggestions, error) {
	switch {
	case text == "":
		return Suggestions{}, schema.Invalid.About("query", "This must not be empty.")
	case limit < 1 || limit > maxLimit:
		return Suggestions{}, schema.Invalid.About("limit", "This must be a whole number from 1 to 100.")
	}
	var found Suggestions
	var err error
	if found.MACAddresses, err = s.db.SuggestValues(ctx, orgID, scope, schema.SuggestMACAddress, text, limit); err != nil {
		return Suggestions{}, schema.Failure(err)
	}
	if found.ReferenceIDs, err = s.db.SuggestValues(ctx, orgID, scope, schema.SuggestReferenceID, text, limit); err != nil {
		return Suggestions{}, schema.Failure(err)
	}
	return found, nil
}
