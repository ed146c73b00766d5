package sessions

import (
	"context"
	"strings"
	"time"

	"lastseen/schema"
)

// ListRequest says which sessions are wanted, in which order, and which page of them.
type ListRequest struct {
	Filter     schema.SessionFilter
	SortBy     schema.SessionSort
	Descending bool
	Page       int // from 1 to schema.MaxPage
	PageSize   int // 1 to schema.MaxPageSize
}

// Validate returns a schema.Invalid that names the first parameter that cannot be served.
func (r *ListRequest) Validate() error { return schema.CheckPage(r.Page, r.PageSize) }

// MaxSuggestions is the most values of a field that Typeahead returns.
const MaxSuggestions = 100

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

// Newest knows the newest point of every session, and whose it is. A *latest.Table does. It is safe for concurrent use.
type Newest interface {
	// Flush makes ClickHouse know of the points that were published before.
	Flush(ctx context.Context) error
	// Owner returns the organisation of a session, and false unless who may see it.
	Owner(id schema.ID, who schema.Viewer) (orgID string, ok bool)
	// Newest returns what is shown of a session to those who may see it, nil when that is nothing.
	Newest(id schema.ID) *schema.DataPoint
}

// Reader lists sessions. It is safe for concurrent use; what it returns belongs to the caller. Its
// errors match schema.NotFound, schema.Invalid or schema.Unavailable, or are that of the context.
type Reader struct {
	db     *schema.DB
	newest Newest
	now    func() time.Time
}

// New returns a Reader of the sessions in db, which takes their newest points from newest. now is the clock
// (time.Now in production).
func New(db *schema.DB, newest Newest, now func() time.Time) *Reader {
	return &Reader{db: db, newest: newest, now: now}
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
		if err := s.newest.Flush(ctx); err != nil {
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
	v.LastSeen = s.newest.Newest(session.ID)
	return v
}

// Get returns a session by the text of its id, or schema.NotFound.
func (s *Reader) Get(ctx context.Context, orgID, sessionID string) (View, error) {
	id, ok := schema.ParseID(sessionID)
	if !ok {
		return View{}, schema.NoSession
	}
	// The table knows the owner, and with it the place in ClickHouse.
	owner, ok := s.newest.Owner(id, schema.Viewer{OrgID: orgID})
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
	case limit < 1 || limit > MaxSuggestions:
		return Suggestions{}, schema.Invalid.About("limit", "This must be a whole number from 1 to %d.", MaxSuggestions)
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
