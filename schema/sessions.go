package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// sessionsTable holds the sessions: what people say of a device's journey. A change inserts the whole
// row with a higher version. What devices say is in the data points.
var sessionsTable = table{
	name: "sessions",
	columns: `    session_id String,
    org_id String,
    device_id String,
    device_mac_address String,
    created_at DateTime64(3, 'UTC'),
    comments Nullable(String),
    off_chrt_reference_id Nullable(String),
    off_chrt_shipper_org_data_id Nullable(String),
    public Nullable(Bool),
    shared_with_org_ids Array(String),
    termination_scheduled_for Nullable(DateTime64(3, 'UTC')),
    terminated_at Nullable(DateTime64(3, 'UTC')),
    flight_numbers Array(String),
    flight_loaded_statuses Array(String),
    flight_leg_ids Array(String),
    version UInt64`,
	engine:  "ReplacingMergeTree(version)",
	tail:    "ORDER BY (org_id, session_id)",
	shardBy: "cityHash64(session_id)",
}

// sessionSelect is the select list that a Session scans.
const sessionSelect = `session_id, org_id, device_id, device_mac_address, created_at, comments, off_chrt_reference_id,
  off_chrt_shipper_org_data_id, public, shared_with_org_ids, termination_scheduled_for, terminated_at,
  flight_numbers, flight_loaded_statuses, flight_leg_ids, version`

// Session is one journey of one device. Pointers are nil where a value is unknown.
type Session struct {
	ID                      ID         `ch:"session_id"`
	OrgID                   string     `ch:"org_id"`
	DeviceID                ID         `ch:"device_id"`
	DeviceMACAddress        string     `ch:"device_mac_address"`
	CreatedAt               time.Time  `ch:"created_at"`
	Comments                *string    `ch:"comments"`
	OffChrtReferenceID      *string    `ch:"off_chrt_reference_id"`
	OffChrtShipperOrgDataID *string    `ch:"off_chrt_shipper_org_data_id"`
	Public                  *bool      `ch:"public"`
	SharedWithOrgIDs        []string   `ch:"shared_with_org_ids"`
	TerminationScheduledFor *time.Time `ch:"termination_scheduled_for"`
	TerminatedAt            *time.Time `ch:"terminated_at"`
	FlightNumbers           []string   `ch:"flight_numbers"`
	FlightLoadedStatuses    []string   `ch:"flight_loaded_statuses"`
	FlightLegIDs            []string   `ch:"flight_leg_ids"`
	Version                 uint64     `ch:"version"`
}

// EndedAt returns when the session ended, as of now: when it was terminated, or when its scheduled
// termination came due. It reports false for an active session.
func (s *Session) EndedAt(now time.Time) (time.Time, bool) {
	switch {
	case s.TerminatedAt != nil:
		return *s.TerminatedAt, true
	case s.TerminationScheduledFor != nil && !s.TerminationScheduledFor.After(now):
		return *s.TerminationScheduledFor, true
	}
	return time.Time{}, false
}

// SaveSession writes a session; of two rows with one id the higher version counts.
func (db *DB) SaveSession(ctx context.Context, s Session) error {
	err := db.conn.Exec(ctx, `INSERT INTO sessions
(session_id, org_id, device_id, device_mac_address, created_at, comments, off_chrt_reference_id,
 off_chrt_shipper_org_data_id, public, shared_with_org_ids, termination_scheduled_for, terminated_at,
 flight_numbers, flight_loaded_statuses, flight_leg_ids, version)
SELECT {session_id:String}, {org_id:String}, {device_id:String}, {mac:String}, fromUnixTimestamp64Milli({created_at:Int64}, 'UTC'),
 {comments:Nullable(String)}, {reference:Nullable(String)}, {shipper:Nullable(String)}, {public:Nullable(Bool)},
 {shared:Array(String)}, fromUnixTimestamp64Milli({scheduled:Nullable(Int64)}, 'UTC'), fromUnixTimestamp64Milli({terminated:Nullable(Int64)}, 'UTC'),
 {flight_numbers:Array(String)}, {flight_loaded_statuses:Array(String)}, {flight_leg_ids:Array(String)}, {version:UInt64}`,
		clickhouse.Named("session_id", s.ID.String()), clickhouse.Named("org_id", s.OrgID),
		clickhouse.Named("device_id", s.DeviceID.String()), clickhouse.Named("mac", s.DeviceMACAddress),
		clickhouse.Named("created_at", s.CreatedAt.UnixMilli()), clickhouse.Named("comments", s.Comments),
		clickhouse.Named("reference", s.OffChrtReferenceID), clickhouse.Named("shipper", s.OffChrtShipperOrgDataID),
		clickhouse.Named("public", s.Public), clickhouse.Named("shared", notNil(s.SharedWithOrgIDs)),
		clickhouse.Named("scheduled", unixMilli(s.TerminationScheduledFor)), clickhouse.Named("terminated", unixMilli(s.TerminatedAt)),
		clickhouse.Named("flight_numbers", notNil(s.FlightNumbers)), clickhouse.Named("flight_loaded_statuses", notNil(s.FlightLoadedStatuses)),
		clickhouse.Named("flight_leg_ids", notNil(s.FlightLegIDs)), clickhouse.Named("version", s.Version))
	if err != nil {
		return fmt.Errorf("save a session: %w", err)
	}
	return nil
}

// notNil lets a nil list be bound as an empty array instead of NULL.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func unixMilli(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}
