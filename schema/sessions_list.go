package schema

import "time"

// OrgScope says which of the sessions that an organisation may see are meant.
type OrgScope uint8

const (
	OwnedAndShared OrgScope = iota
	Owned
	Shared
)

// SessionSort is what a list of sessions is sorted by.
type SessionSort uint8

const (
	SortByCreatedAt SessionSort = iota
	SortByLastSeenAt
	SortByTerminationScheduledFor
	SortByTerminatedAt
)

// TimeRange is an inclusive range of times; a zero end is open.
type TimeRange struct {
	From, To time.Time
}

// SessionFilter says which sessions are meant. The zero value means all that the organisation may
// see; nil pointers and empty strings filter nothing.
type SessionFilter struct {
	Scope  OrgScope
	Search string // a part of the reference id, the MAC address or the comments, in any case

	Terminated  *bool // terminations that were scheduled and are due count
	Public      *bool // false also finds sessions of which it is unknown
	HasLastSeen *bool

	// Exact values; sessions that lack one do not match.
	DeviceID           *string
	OffChrtReferenceID *string
	FlightNumber       *string
	FlightLoadedStatus *string

	CreatedAt               TimeRange
	LastSeenAt              TimeRange
	TerminationScheduledFor TimeRange
	TerminatedAt            TimeRange
}
