package query

import (
	"context"
	"errors"
	"time"

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

// Validate returns an *InvalidError that names the first parameter that cannot be served.
func (r *ListRequest) Validate() error { return nil }

// SessionView is a session as one caller sees it. SharedWithOrgIDs of a session of another
// organisation holds the caller's own alone.
type SessionView struct {
	schema.Session
	Terminated   bool
	TerminatedAt time.Time         // when Terminated; hides Session.TerminatedAt
	LastSeen     *schema.DataPoint // nil when there is none
}

// Page is one page of a list.
type Page struct {
	Items      []SessionView
	TotalCount int // of all pages
}

// Sessions lists sessions. It is safe for concurrent use.
type Sessions struct{}

// NewSessions returns Sessions that read from db and take the newest points from lastSeen.
func NewSessions(db *schema.DB, lastSeen *LastSeen, now func() time.Time) *Sessions {
	return &Sessions{}
}

// List returns a page of the sessions that an organisation may see.
func (s *Sessions) List(ctx context.Context, orgID string, request ListRequest) (Page, error) {
	return Page{}, errors.ErrUnsupported
}

// Get returns a session by the text of its id, or ErrNotFound.
func (s *Sessions) Get(ctx context.Context, orgID, sessionID string) (SessionView, error) {
	return SessionView{}, errors.ErrUnsupported
}

// Suggestions are what a text could be the beginning or a part of, the best first.
type Suggestions struct {
	MACAddresses []string
	ReferenceIDs []string
}

// Typeahead returns up to limit (1 to 100) distinct values a field that contain text.
func (s *Sessions) Typeahead(ctx context.Context, orgID, text string, scope schema.OrgScope, limit int) (Suggestions, error) {
	return Suggestions{}, errors.ErrUnsupported
}
