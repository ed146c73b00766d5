package schema

import (
	"context"
	"fmt"
	"time"

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
func (db *DB) SaveDevice(ctx context.Context, d Device) error {
	err := db.conn.Exec(ctx, `INSERT INTO devices
(device_id, org_id, device_mac_address, type, comments, off_chrt_reference_id, created_at, version)
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

// EachDevice calls each for every device, in no particular order.
func (db *DB) EachDevice(ctx context.Context, each func(Device)) error {
	rows, err := db.conn.Query(ctx, `SELECT device_id, org_id, device_mac_address, type, comments, off_chrt_reference_id, created_at, version
FROM devices FINAL`)
	if err != nil {
		return fmt.Errorf("read the devices: %w", err)
	}
	return eachStruct(rows, "read the devices", each)
}
