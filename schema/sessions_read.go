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
	return db.readSessions(ctx, func(c *sessionColumns, i int) {
		var s Session
		c.fill(i, &s)
		each(s)
	})
}

// ReadSessions is EachSession of many at a time: it fills batch up to its capacity and gives it to full, which returns what to fill next.
// What is left in the end is given to full too, unless that is nothing or reading failed.
func (db *SessionTable) ReadSessions(ctx context.Context, batch []Session, full func([]Session) []Session) error {
	err := db.readSessions(ctx, func(c *sessionColumns, i int) {
		batch = batch[:len(batch)+1]
		if c.fill(i, &batch[len(batch)-1]); len(batch) == cap(batch) {
			batch = full(batch)
		}
	})
	if err == nil && len(batch) > 0 {
		full(batch)
	}
	return err
}

// readSessions calls each for every session, which is a row of the columns.
func (db *SessionTable) readSessions(ctx context.Context, each func(c *sessionColumns, i int)) error {
	c := new(sessionColumns)
	native, err := db.queryNative(readingAll(ctx), c.results(), selectSessions)
	if err != nil {
		return fmt.Errorf("read the sessions: %w", err)
	}
	defer native.close()
	err = native.eachRow(func(i int) error {
		each(c, i)
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

// fill makes s a row of the block. Field by field nothing is copied that is as large as a session.
func (c *sessionColumns) fill(i int, s *Session) {
	s.ID, s.OrgID, s.DeviceID, s.DeviceMACAddress = c.id.ids[i], c.org.Row(i), c.device.ids[i], c.mac.Row(i)
	s.CreatedAt = time.UnixMilli(int64(c.createdAt.Data[i])).UTC()
	s.Comments, s.OffChrtReferenceID, s.OffChrtShipperOrgDataID = c.comments.at(i), c.reference.at(i), c.shipper.at(i)
	s.Public, s.SharedWithOrgIDs = pointer(c.public, i), c.shared.Row(i)
	s.TerminationScheduledFor, s.TerminatedAt = utc(pointer(c.scheduled, i)), utc(pointer(c.terminated, i))
	s.FlightNumbers, s.FlightLoadedStatuses, s.FlightLegIDs = c.flights.Row(i), c.statuses.Row(i), c.legs.Row(i)
	s.Outliers, s.Version = c.outliers.at(i), c.version[i]
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
