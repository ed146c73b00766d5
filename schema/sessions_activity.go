package schema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// SessionActivity is which device a session belongs to, and from when to when. Times are Unix
// milliseconds, 0 where there is none.
type SessionActivity struct {
	ID               ID
	OrgID            string
	DeviceID         ID
	DeviceMACAddress string
	CreatedAt        int64
	ScheduledFor     int64 // the termination
	TerminatedAt     int64
	Outliers         OutlierSetting
	Version          uint64
}

// activityColumns are the columns that make up a SessionActivity.
type activityColumns struct {
	id, org, device, mac, outliers     proto.ColStr
	createdAt, scheduled, terminatedAt proto.ColInt64
	version                            proto.ColUInt64
}

// EachSessionActivity calls each for every session, in no particular order. It decodes columns, so
// that a million sessions take about a second.
func (db *SessionTable) EachSessionActivity(ctx context.Context, each func(SessionActivity)) error {
	var c activityColumns
	native, err := db.queryNative(ctx, proto.Results{
		{Name: "session_id", Data: &c.id}, {Name: "org_id", Data: &c.org}, {Name: "device_id", Data: &c.device},
		{Name: "device_mac_address", Data: &c.mac}, {Name: "created_ms", Data: &c.createdAt},
		{Name: "scheduled_ms", Data: &c.scheduled}, {Name: "terminated_ms", Data: &c.terminatedAt},
		{Name: "outlier_setting", Data: &c.outliers}, {Name: "version", Data: &c.version},
	}, `SELECT session_id, org_id, device_id, device_mac_address, toUnixTimestamp64Milli(created_at) AS created_ms,
  ifNull(toUnixTimestamp64Milli(termination_scheduled_for), 0) AS scheduled_ms,
  ifNull(toUnixTimestamp64Milli(terminated_at), 0) AS terminated_ms, ifNull(outliers, '') AS outlier_setting, version
FROM sessions FINAL`)
	if err != nil {
		return fmt.Errorf("read which sessions are active: %w", err)
	}
	defer native.close()
	err = native.eachRow(func(i int) error {
		session, err := c.row(i)
		if err == nil {
			each(session)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read which sessions are active: %w", err)
	}
	return nil
}

func (c *activityColumns) row(i int) (SessionActivity, error) {
	session, ok := ParseID(c.id.RowBytes(i))
	if !ok {
		return SessionActivity{}, fmt.Errorf("the session id %q is not 24 hexadecimal digits", c.id.Row(i))
	}
	device, ok := ParseID(c.device.RowBytes(i))
	if !ok {
		return SessionActivity{}, fmt.Errorf("the device id %q of a session is not 24 hexadecimal digits", c.device.Row(i))
	}
	setting, _ := ParseOutlierSetting(c.outliers.Row(i)) // what a newer version may say is left to the service
	return SessionActivity{
		ID: session, OrgID: c.org.Row(i), DeviceID: device, DeviceMACAddress: c.mac.Row(i),
		CreatedAt: c.createdAt[i], ScheduledFor: c.scheduled[i], TerminatedAt: c.terminatedAt[i], Outliers: setting, Version: c.version[i],
	}, nil
}
