package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// devicesTable holds the registered devices. A change inserts the whole row with a higher version.
var devicesTable = table{
	name: "devices",
	columns: `    device_id String,
    org_id String,
    device_mac_address String,
    type Nullable(String),
    comments Nullable(String),
    off_chrt_reference_id Nullable(String),
    created_at DateTime64(3, 'UTC'),
    version UInt64`,
	engine:  "ReplacingMergeTree(version)",
	tail:    "ORDER BY device_id",
	shardBy: "cityHash64(device_id)",
}

// Device is a registered device. Pointers are nil where a value is unknown.
type Device struct {
	ID                 ID        `ch:"device_id"`
	OrgID              string    `ch:"org_id"`
	MACAddress         string    `ch:"device_mac_address"` // as registered
	Type               *string   `ch:"type"`
	Comments           *string   `ch:"comments"`
	OffChrtReferenceID *string   `ch:"off_chrt_reference_id"`
	CreatedAt          time.Time `ch:"created_at"`
	Version            uint64    `ch:"version"`
}

// SaveDevice writes a device; of two rows with one id the higher version counts.
func (db *DeviceTable) SaveDevice(ctx context.Context, d Device) error {
	err := db.conn.Exec(ctx, "INSERT INTO "+db.into(devicesTable)+` (device_id, org_id, device_mac_address, type, comments, off_chrt_reference_id, created_at, version)
SELECT {device_id:String}, {org_id:String}, {mac:String}, {type:Nullable(String)}, {comments:Nullable(String)},
  {reference:Nullable(String)}, fromUnixTimestamp64Milli({created_at:Int64}, 'UTC'), {version:UInt64}`,
		clickhouse.Named("device_id", d.ID.String()), clickhouse.Named("org_id", d.OrgID), clickhouse.Named("mac", d.MACAddress),
		clickhouse.Named("type", d.Type), clickhouse.Named("comments", d.Comments), clickhouse.Named("reference", d.OffChrtReferenceID),
		clickhouse.Named("created_at", d.CreatedAt.UnixMilli()), clickhouse.Named("version", d.Version))
	if err != nil {
		return fmt.Errorf("save a device: %w", err)
	}
	return nil
}

const deviceSelect = `SELECT device_id, org_id, device_mac_address, type, comments, off_chrt_reference_id, created_at, version
FROM devices FINAL`

// FindDevice returns the device with an id, and false when there is none.
func (db *DeviceTable) FindDevice(ctx context.Context, id ID) (device Device, found bool, err error) {
	rows, err := db.conn.Query(ctx, deviceSelect+" WHERE device_id = {id:String}", clickhouse.Named("id", id.String()))
	if err != nil {
		return Device{}, false, fmt.Errorf("find a device: %w", err)
	}
	err = eachStruct(rows, "find a device", func(d Device) {
		d.CreatedAt = d.CreatedAt.UTC()
		device, found = d, true
	})
	return device, found, err
}

// DeviceOwner is who a device belongs to, and what it is called.
type DeviceOwner struct {
	ID         ID
	OrgID      string
	MACAddress string // as registered
	CreatedAt  int64  // Unix milliseconds
	Version    uint64
}

// selectDevices reads every DeviceOwner.
const selectDevices = "SELECT device_id, org_id, device_mac_address, toUnixTimestamp64Milli(created_at) AS created_ms, version FROM devices FINAL"

// EachDeviceOwner calls each for every device, in no particular order. It decodes columns, so that
// a million devices take about a second. Addresses of many share a piece of memory, so whoever keeps those of few clones them.
func (db *DeviceTable) EachDeviceOwner(ctx context.Context, each func(DeviceOwner)) error {
	var id idColumn
	var org repeatedTexts
	var mac sharedTexts
	var createdAt proto.ColInt64
	var version proto.ColUInt64
	native, err := db.queryNative(readingAll(ctx), proto.Results{
		{Name: "device_id", Data: &id}, {Name: "org_id", Data: &org}, {Name: "device_mac_address", Data: &mac},
		{Name: "created_ms", Data: &createdAt}, {Name: "version", Data: &version},
	}, selectDevices)
	if err != nil {
		return fmt.Errorf("read the devices: %w", err)
	}
	defer native.close()
	err = native.eachRow(func(i int) error {
		each(DeviceOwner{ID: id.ids[i], OrgID: org.Row(i), MACAddress: mac.Row(i), CreatedAt: createdAt[i], Version: version[i]})
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the devices: %w", err)
	}
	return nil
}
