package sessions

import (
	"time"

	"lastseen/schema"
)

// Sort is what a list is sorted by.
type Sort uint8

const (
	// ByCreatedAt sorts by when sessions were made.
	ByCreatedAt Sort = iota
	// ByLastSeenAt sorts by the timestamp of the newest point that is not an outlier.
	ByLastSeenAt
	// ByTerminationScheduledFor sorts by when sessions are, or were, to end by themselves.
	ByTerminationScheduledFor
	// ByTerminatedAt sorts by when sessions ended, by hand or by schedule.
	ByTerminatedAt
)

// TimeRange is an inclusive range of times to the millisecond; a zero end is open.
type TimeRange struct {
	From, To time.Time
}

// Filter says which sessions are meant. The zero value means all that the organisation may see; nil
// pointers and empty strings filter nothing.
type Filter struct {
	Scope  schema.OrgScope
	Search string // a part of the reference id, the MAC address or the comments, as fold compares

	Terminated  *bool // terminations that were scheduled and are due count
	Public      *bool // false also finds sessions of which it is unknown
	HasLastSeen *bool

	// Exact values; sessions that lack one do not match. A device's id may be in either case.
	DeviceID           *string
	OffChrtReferenceID *string
	FlightNumber       *string
	FlightLoadedStatus *string

	CreatedAt               TimeRange
	LastSeenAt              TimeRange
	TerminationScheduledFor TimeRange
	TerminatedAt            TimeRange
}

// ListRequest says which sessions are wanted, in which order, and which page of them.
type ListRequest struct {
	Filter     Filter
	SortBy     Sort
	Descending bool
	Page       int // from 1 to schema.MaxPage; not looked at with Cursor
	PageSize   int // 1 to schema.MaxPageSize; may differ from page to page
	// Cursor is the NextCursor of a page of the same organisation with the same filter, sort and order; empty for
	// the numbered page.
	Cursor string
}

// Validate returns a schema.Invalid that names the first parameter that cannot be served. Whether a cursor is good
// turns out when it is used.
func (r *ListRequest) Validate() error {
	if r.Cursor != "" {
		return schema.CheckPage(1, r.PageSize)
	}
	return schema.CheckPage(r.Page, r.PageSize)
}

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
	TotalCount int    // of all pages
	NextCursor string // leads to the page that follows; empty when this is the last
}
