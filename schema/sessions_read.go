package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

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

// CountRegistered returns about how many devices and sessions there are, and seldom fewer than there are: rows that are still to
// be merged count.
func (db *DB) CountRegistered(ctx context.Context) (devices, sessions int, err error) {
	var counted [2]uint64
	row := db.SessionTable.conn.QueryRow(ctx, "SELECT (SELECT count() FROM devices), (SELECT count() FROM sessions)")
	if err := row.Scan(&counted[0], &counted[1]); err != nil {
		return 0, 0, fmt.Errorf("count the devices and the sessions: %w", err)
	}
	return int(counted[0]), int(counted[1]), nil
}

// selectSessions reads every Session.
const selectSessions = "SELECT " + sessionSelect + " FROM sessions FINAL"

// EachSession calls each for every session, in no particular order. It decodes columns, so that a million
// sessions take about a second. The session is each's to keep; texts of many share a piece of memory, so whoever keeps those of few clones them.
func (db *SessionTable) EachSession(ctx context.Context, each func(Session)) error {
	var c sessionColumns
	native, err := db.queryNative(readingAll(ctx), c.results(), selectSessions)
	if err != nil {
		return fmt.Errorf("read the sessions: %w", err)
	}
	defer native.close()
	err = native.eachRow(func(i int) error {
		each(c.row(i))
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the sessions: %w", err)
	}
	return nil
}

// sessionColumns are the columns that make up a Session.
type sessionColumns struct {
	id, device                      idColumn
	org                             repeatedTexts // rows are sorted by it
	mac                             sharedTexts
	createdAt                       *proto.ColDateTime64
	comments, reference, shipper    *nullableTexts
	public                          *proto.ColNullable[bool]
	outliers                        *nullableTexts
	shared, flights, statuses, legs *proto.ColArr[string]
	scheduled, terminated           *proto.ColNullable[time.Time]
	version                         proto.ColUInt64
}

// results binds the columns to the select list of a Session.
func (c *sessionColumns) results() proto.Results {
	moment := func() *proto.ColDateTime64 { return new(proto.ColDateTime64).WithPrecision(proto.PrecisionMilli) }
	c.createdAt = moment()
	c.comments, c.reference, c.shipper, c.outliers = newNullableTexts(), newNullableTexts(), newNullableTexts(), newNullableTexts()
	c.public = new(proto.ColBool).Nullable()
	c.shared, c.flights, c.statuses, c.legs = new(proto.ColStr).Array(), new(proto.ColStr).Array(), new(proto.ColStr).Array(), new(proto.ColStr).Array()
	c.scheduled, c.terminated = moment().Nullable(), moment().Nullable()
	return proto.Results{
		{Name: "session_id", Data: &c.id}, {Name: "org_id", Data: &c.org}, {Name: "device_id", Data: &c.device},
		{Name: "device_mac_address", Data: &c.mac}, {Name: "created_at", Data: c.createdAt}, {Name: "comments", Data: c.comments},
		{Name: "off_chrt_reference_id", Data: c.reference}, {Name: "off_chrt_shipper_org_data_id", Data: c.shipper},
		{Name: "public", Data: c.public}, {Name: "shared_with_org_ids", Data: c.shared},
		{Name: "termination_scheduled_for", Data: c.scheduled}, {Name: "terminated_at", Data: c.terminated},
		{Name: "flight_numbers", Data: c.flights}, {Name: "flight_loaded_statuses", Data: c.statuses},
		{Name: "flight_leg_ids", Data: c.legs}, {Name: "outliers", Data: c.outliers}, {Name: "version", Data: &c.version},
	}
}

func (c *sessionColumns) row(i int) Session {
	return Session{
		ID: c.id.ids[i], OrgID: c.org.Row(i), DeviceID: c.device.ids[i], DeviceMACAddress: c.mac.Row(i), CreatedAt: time.UnixMilli(int64(c.createdAt.Data[i])).UTC(),
		Comments: c.comments.at(i), OffChrtReferenceID: c.reference.at(i), OffChrtShipperOrgDataID: c.shipper.at(i),
		Public: pointer(c.public, i), SharedWithOrgIDs: c.shared.Row(i),
		TerminationScheduledFor: utc(pointer(c.scheduled, i)), TerminatedAt: utc(pointer(c.terminated, i)),
		FlightNumbers: c.flights.Row(i), FlightLoadedStatuses: c.statuses.Row(i), FlightLegIDs: c.legs.Row(i),
		Outliers: c.outliers.at(i), Version: c.version[i],
	}
}

// pointer returns a value of a column, nil for NULL.
func pointer[T any](column *proto.ColNullable[T], i int) *T {
	if column.Nulls[i] != 0 {
		return nil
	}
	value := column.Values.Row(i)
	return &value
}

func utc(at *time.Time) *time.Time {
	if at != nil {
		*at = at.UTC()
	}
	return at
}
