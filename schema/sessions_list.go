package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// OrgScope says which of the sessions that an organisation may see are meant.
type OrgScope uint8

const (
	// OwnedAndShared are those of the organisation and those that others share with it.
	OwnedAndShared OrgScope = iota
	// Owned are those of the organisation.
	Owned
	// Shared are those of others that are shared with it.
	Shared
)

// SessionSort is what a list of sessions is sorted by.
type SessionSort uint8

const (
	// SortByCreatedAt sorts by when sessions were made.
	SortByCreatedAt SessionSort = iota
	// SortByLastSeenAt sorts by the timestamp of the newest point that is not an outlier.
	SortByLastSeenAt
	// SortByTerminationScheduledFor sorts by when sessions are, or were, to end by themselves.
	SortByTerminationScheduledFor
	// SortByTerminatedAt sorts by when sessions ended, by hand or by schedule.
	SortByTerminatedAt
)

// sortColumns are what sessions are ordered by; each is a column of sessionsFrom.
var sortColumns = map[SessionSort]string{
	SortByCreatedAt:               "created_at",
	SortByLastSeenAt:              "last_seen_at",
	SortByTerminationScheduledFor: "termination_scheduled_for",
	SortByTerminatedAt:            "ended_at",
}

// TimeRange is an inclusive range of times to the millisecond; a zero end is open.
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

// SessionPage says which sessions are wanted, in which order, and which part of them.
type SessionPage struct {
	OrgID      string // who asks
	Filter     SessionFilter
	SortBy     SessionSort
	Descending bool
	Limit      int
	Offset     int
	Now        time.Time // which scheduled terminations are due
}

// ListSessions returns a part of the sessions that match, and the number of all that match. Sessions
// whose sort value is unknown come last in either order; ties are in ascending order of the id. What
// it says of last seen is what the checkpoint has.
func (db *SessionTable) ListSessions(ctx context.Context, page SessionPage) (sessions []Session, total int, err error) {
	// Both tables are sharded by session, so that each shard of a cluster joins its own.
	ctx = withSettings(ctx, clickhouse.Settings{"join_use_nulls": 1, "distributed_product_mode": "local"})
	from := sessionsFrom(&page)
	var count uint64
	if err := db.conn.QueryRow(ctx, "SELECT count()"+from.sql, from.args...).Scan(&count); err != nil {
		return nil, 0, fmt.Errorf("count sessions: %w", err)
	}
	if page.Offset >= int(count) {
		return nil, int(count), nil
	}
	order := " ORDER BY " + sortColumns[page.SortBy] + " ASC"
	if page.Descending {
		order = " ORDER BY " + sortColumns[page.SortBy] + " DESC"
	}
	from.add(order + " NULLS LAST, session_id LIMIT {limit:UInt64} OFFSET {offset:UInt64}")
	from.bind("limit", uint64(page.Limit))
	from.bind("offset", uint64(page.Offset))
	rows, err := db.conn.Query(ctx, "SELECT "+sessionSelect+from.sql, from.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list sessions: %w", err)
	}
	err = eachStruct(rows, "list sessions", func(s Session) { sessions = append(sessions, s) })
	return sessions, int(count), err
}

// FindSession returns a session of an organisation, and false when it has none with that id.
func (db *SessionTable) FindSession(ctx context.Context, ownerOrgID string, id ID) (session Session, found bool, err error) {
	rows, err := db.conn.Query(ctx, "SELECT "+sessionSelect+" FROM sessions FINAL WHERE org_id = {org:String} AND session_id = {id:String}",
		clickhouse.Named("org", ownerOrgID), clickhouse.Named("id", id.String()))
	if err != nil {
		return Session{}, false, fmt.Errorf("find a session: %w", err)
	}
	err = eachStruct(rows, "find a session", func(s Session) { session, found = s, true })
	return session, found, err
}

// SuggestedField is a field of sessions whose values can be suggested.
type SuggestedField uint8

const (
	// SuggestMACAddress is device_mac_address.
	SuggestMACAddress SuggestedField = iota
	// SuggestReferenceID is off_chrt_reference_id.
	SuggestReferenceID
)

// SuggestValues returns up to limit distinct values of a field, among the sessions that an
// organisation may see, that contain text in any case: those that begin with it first, then in
// alphabetical order.
func (db *SessionTable) SuggestValues(ctx context.Context, orgID string, scope OrgScope, field SuggestedField, text string, limit int) ([]string, error) {
	column := "device_mac_address"
	if field == SuggestReferenceID {
		column = "ifNull(off_chrt_reference_id, '')"
	}
	rows, err := db.conn.Query(ctx, `SELECT value FROM (
  SELECT DISTINCT `+column+` AS value FROM sessions FINAL
  WHERE `+scopeCondition(scope)+` AND positionCaseInsensitiveUTF8(value, {text:String}) > 0
) ORDER BY positionCaseInsensitiveUTF8(value, {text:String}) != 1, lowerUTF8(value), value LIMIT {limit:UInt64}`,
		clickhouse.Named("org", orgID), clickhouse.Named("text", text), clickhouse.Named("limit", uint64(limit)))
	if err != nil {
		return nil, fmt.Errorf("suggest values of sessions: %w", err)
	}
	type row struct {
		Value string `ch:"value"`
	}
	var values []string
	err = eachStruct(rows, "suggest values of sessions", func(r row) { values = append(values, r.Value) })
	return values, err
}

func scopeCondition(scope OrgScope) string {
	switch scope {
	case Owned:
		return "org_id = {org:String}"
	case Shared:
		return "org_id != {org:String} AND has(shared_with_org_ids, {org:String})"
	}
	return "(org_id = {org:String} OR has(shared_with_org_ids, {org:String}))"
}

// statement is a part of a statement with its bound values.
type statement struct {
	sql  string
	args []any
}

func (s *statement) add(sql string) {
	s.sql += sql
}

func (s *statement) bind(name string, value any) {
	s.args = append(s.args, clickhouse.Named(name, value))
}

// and adds a condition with one bound value.
func (s *statement) and(condition, name string, value any) {
	s.add("\n  AND " + condition)
	s.bind(name, value)
}

// sessionsFrom is the FROM and WHERE of the sessions that match.
func sessionsFrom(page *SessionPage) *statement {
	f := &page.Filter
	scope := scopeCondition(f.Scope)
	s := new(statement)
	s.bind("org", page.OrgID)
	s.bind("now", page.Now.UnixMilli())
	s.add(`
FROM (
  SELECT *, coalesce(terminated_at,
    if(termination_scheduled_for <= fromUnixTimestamp64Milli({now:Int64}, 'UTC'), termination_scheduled_for, NULL)) AS ended_at
  FROM sessions FINAL WHERE ` + scope + `
) AS session`)
	if page.SortBy == SortByLastSeenAt || f.HasLastSeen != nil || f.LastSeenAt != (TimeRange{}) {
		// A row whose point is an outlier has no other to show.
		s.add(`
LEFT JOIN (
  SELECT session_id, timestamp AS last_seen_at FROM session_by_device_last_seen FINAL
  WHERE outlier = 0 AND session_id IN (SELECT session_id FROM sessions WHERE ` + scope + `)
) AS seen USING (session_id)`)
	}
	s.add("\nWHERE true")
	s.addFilters(f)
	return s
}

func (s *statement) addFilters(f *SessionFilter) {
	if f.Search != "" {
		s.and(`(positionCaseInsensitiveUTF8(ifNull(off_chrt_reference_id, ''), {search:String}) > 0
    OR positionCaseInsensitiveUTF8(device_mac_address, {search:String}) > 0
    OR positionCaseInsensitiveUTF8(ifNull(comments, ''), {search:String}) > 0)`, "search", f.Search)
	}
	for _, flag := range []struct {
		want      *bool
		condition string
		name      string
	}{
		{f.Terminated, "(ended_at IS NOT NULL) = {terminated:Bool}", "terminated"},
		{f.Public, "ifNull(public, false) = {public:Bool}", "public"},
		{f.HasLastSeen, "(last_seen_at IS NOT NULL) = {has_last_seen:Bool}", "has_last_seen"},
	} {
		if flag.want != nil {
			s.and(flag.condition, flag.name, *flag.want)
		}
	}
	for _, exact := range []struct {
		want      *string
		condition string
		name      string
	}{
		{f.DeviceID, "device_id = {device:String}", "device"},
		{f.OffChrtReferenceID, "off_chrt_reference_id = {reference:String}", "reference"},
		{f.FlightNumber, "has(flight_numbers, {flight_number:String})", "flight_number"},
		{f.FlightLoadedStatus, "has(flight_loaded_statuses, {flight_status:String})", "flight_status"},
	} {
		if exact.want != nil {
			s.and(exact.condition, exact.name, *exact.want)
		}
	}
	for _, span := range []struct {
		want   TimeRange
		column string
	}{
		{f.CreatedAt, "created_at"},
		{f.LastSeenAt, "last_seen_at"},
		{f.TerminationScheduledFor, "termination_scheduled_for"},
		{f.TerminatedAt, "ended_at"},
	} {
		if !span.want.From.IsZero() {
			name := span.column + "_from"
			s.and("toUnixTimestamp64Milli("+span.column+") >= {"+name+":Int64}", name, span.want.From.UnixMilli())
		}
		if !span.want.To.IsZero() {
			name := span.column + "_to"
			s.and("toUnixTimestamp64Milli("+span.column+") <= {"+name+":Int64}", name, span.want.To.UnixMilli())
		}
	}
}
