package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"
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
  flight_numbers, flight_loaded_statuses, flight_leg_ids, outliers, version`

// OutlierSetting says whether a session's points are judged, whether they can be true.
type OutlierSetting uint8

// A session may leave it to the service.
const (
	OutliersUnset OutlierSetting = iota
	FlagOutliers
	LeaveOutliers
)

// The words for an OutlierSetting, of flags and in the API.
const (
	WordFlagOutliers  = "flag"
	WordLeaveOutliers = "off"
)

// ParseOutlierSetting reads a word; the empty one is OutliersUnset.
func ParseOutlierSetting(word string) (setting OutlierSetting, ok bool) {
	switch word {
	case "":
		return OutliersUnset, true
	case WordFlagOutliers:
		return FlagOutliers, true
	case WordLeaveOutliers:
		return LeaveOutliers, true
	}
	return OutliersUnset, false
}

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
	Outliers                *string    `ch:"outliers"` // a word of an OutlierSetting
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

// SaveSession writes a session; of two rows with one id the higher version counts. It is sent as data, since
// its lists may be longer than a server lets a parameter be.
func (db *SessionTable) SaveSession(ctx context.Context, s Session) error {
	return db.saveSession(ctx, s)
}

// NarrowSession is SaveSession of one that fewer may see than before. On a full disk it has the room that is kept for taking rights
// away.
func (db *SessionTable) NarrowSession(ctx context.Context, s Session) error {
	return db.withRoom(func() error { return db.saveSession(ctx, s) })
}

func (db *SessionTable) saveSession(ctx context.Context, s Session) error {
	createdAt := proto.ColDateTime64{}
	createdAt.AppendRaw(proto.DateTime64(s.CreatedAt.UnixMilli()))
	public := new(proto.ColBool).Nullable()
	public.Append(nullable(s.Public))
	err := db.insertNative(ctx, db.into(sessionsTable), 1, proto.Input{
		{Name: "session_id", Data: textColumn(s.ID.String())}, {Name: "org_id", Data: textColumn(s.OrgID)},
		{Name: "device_id", Data: textColumn(s.DeviceID.String())}, {Name: "device_mac_address", Data: textColumn(s.DeviceMACAddress)},
		{Name: "created_at", Data: createdAt.WithPrecision(proto.PrecisionMilli)},
		{Name: "comments", Data: nullableTextColumn(s.Comments)}, {Name: "off_chrt_reference_id", Data: nullableTextColumn(s.OffChrtReferenceID)},
		{Name: "off_chrt_shipper_org_data_id", Data: nullableTextColumn(s.OffChrtShipperOrgDataID)}, {Name: "public", Data: public},
		{Name: "shared_with_org_ids", Data: listColumn(s.SharedWithOrgIDs)},
		{Name: "termination_scheduled_for", Data: nullableTimeColumn(s.TerminationScheduledFor)},
		{Name: "terminated_at", Data: nullableTimeColumn(s.TerminatedAt)},
		{Name: "flight_numbers", Data: listColumn(s.FlightNumbers)}, {Name: "flight_loaded_statuses", Data: listColumn(s.FlightLoadedStatuses)},
		{Name: "flight_leg_ids", Data: listColumn(s.FlightLegIDs)}, {Name: "outliers", Data: nullableTextColumn(s.Outliers)}, {Name: "version", Data: proto.ColUInt64{s.Version}},
	})
	if err != nil {
		return fmt.Errorf("save a session: %w", err)
	}
	return nil
}
