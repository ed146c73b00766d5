package schema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// dataPointsTable is the history. Codecs and widths follow what each column takes on the disk, which the load
// suite measures (docs/benchmarks.md, size). Readers of one session read in key order, so rows that share an
// identity are neighbours and are folded as they stream; merges do the same fold in the background.
var dataPointsTable = table{
	name: "session_by_device_data_points",
	columns: `    session_id String,
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    org_id LowCardinality(String),
    device_id LowCardinality(String),
    latitude Int32 CODEC(Delta, T64, ZSTD(1)),
    longitude Int32 CODEC(Delta, T64, ZSTD(1)),
    altitude Int32 DEFAULT -2147483648 CODEC(Delta, ZSTD(1)),
    accuracy UInt32 DEFAULT 4294967295 CODEC(T64, ZSTD(1)),
    speed UInt16 DEFAULT 65535 CODEC(T64, ZSTD(1)),
    heading UInt16 DEFAULT 65535 CODEC(T64, ZSTD(1)),
    temperature Float32 DEFAULT nan CODEC(ZSTD(1)),
    battery UInt16 DEFAULT 65535 CODEC(T64, ZSTD(1)),
    outlier UInt8,
    version UInt32,
    INDEX received_at_range received_at TYPE minmax GRANULARITY 1`,
	engine:  "ReplacingMergeTree(version)",
	tail:    "PARTITION BY toYYYYMM(timestamp)\nORDER BY (session_id, timestamp)",
	shardBy: "cityHash64(session_id)",
}

// pointColumns are the columns that make up a DataPoint, in the order of its Native blocks.
type pointColumns struct {
	ids                           idColumn     // of sessions, in results
	session                       proto.ColStr // inserts only
	timestamp, receivedAt         proto.ColDateTime64
	latitude, longitude, altitude proto.ColInt32
	accuracy                      proto.ColUInt32
	speed, heading, battery       proto.ColUInt16
	temperature                   proto.ColFloat32
	outlier                       proto.ColUInt8
	version                       proto.ColUInt32
	organisation, device          runColumn // inserts only
	hexScratch                    [24]byte
}

// pointSelect is the select list that pointColumns.results decodes.
const pointSelect = "session_id, timestamp, received_at, latitude, longitude, altitude, accuracy, speed, heading, temperature, battery, outlier, version"

func (c *pointColumns) results() proto.Results {
	c.setPrecision()
	return proto.Results{
		{Name: "session_id", Data: &c.ids},
		{Name: "timestamp", Data: &c.timestamp}, {Name: "received_at", Data: &c.receivedAt},
		{Name: "latitude", Data: &c.latitude}, {Name: "longitude", Data: &c.longitude}, {Name: "altitude", Data: &c.altitude},
		{Name: "accuracy", Data: &c.accuracy}, {Name: "speed", Data: &c.speed}, {Name: "heading", Data: &c.heading},
		{Name: "temperature", Data: &c.temperature}, {Name: "battery", Data: &c.battery},
		{Name: "outlier", Data: &c.outlier}, {Name: "version", Data: &c.version},
	}
}

func (c *pointColumns) input() proto.Input {
	c.setPrecision()
	return proto.Input{
		{Name: "session_id", Data: &c.session},
		{Name: "timestamp", Data: &c.timestamp}, {Name: "received_at", Data: &c.receivedAt},
		{Name: "org_id", Data: &c.organisation}, {Name: "device_id", Data: &c.device},
		{Name: "latitude", Data: &c.latitude}, {Name: "longitude", Data: &c.longitude}, {Name: "altitude", Data: &c.altitude},
		{Name: "accuracy", Data: &c.accuracy}, {Name: "speed", Data: &c.speed}, {Name: "heading", Data: &c.heading},
		{Name: "temperature", Data: &c.temperature}, {Name: "battery", Data: &c.battery},
		{Name: "outlier", Data: &c.outlier}, {Name: "version", Data: &c.version},
	}
}

func (c *pointColumns) setPrecision() {
	c.timestamp.WithPrecision(proto.PrecisionMilli)
	c.receivedAt.WithPrecision(proto.PrecisionMilli)
}

func (c *pointColumns) append(p *DataPoint) {
	c.session.AppendBytes(p.SessionID.AppendHex(c.hexScratch[:0]))
	c.timestamp.AppendRaw(proto.DateTime64(p.Timestamp))
	c.receivedAt.AppendRaw(proto.DateTime64(p.ReceivedAt))
	c.latitude.Append(p.Latitude)
	c.longitude.Append(p.Longitude)
	c.altitude.Append(p.Altitude)
	c.accuracy.Append(p.Accuracy)
	c.speed.Append(p.Speed)
	c.heading.Append(p.Heading)
	c.temperature.Append(p.Temperature)
	c.battery.Append(p.Battery)
	c.outlier.Append(uint8(p.Outlier))
	c.version.Append(p.Version)
}

// fill reads a row of a session.
func (c *pointColumns) fill(i int, session ID, p *DataPoint) {
	*p = DataPoint{
		SessionID: session, Timestamp: int64(c.timestamp.Data[i]), ReceivedAt: int64(c.receivedAt.Data[i]),
		Latitude: c.latitude[i], Longitude: c.longitude[i], Altitude: c.altitude[i], Accuracy: c.accuracy[i],
		Speed: c.speed[i], Heading: c.heading[i], Temperature: c.temperature[i], Battery: c.battery[i],
		Outlier: Outlier(c.outlier[i]), Version: c.version[i],
	}
}

// OwnedPoint is a point with the organisation and the device that its row also records.
type OwnedPoint struct {
	DataPoint
	OrgID    string
	DeviceID ID
}

// pointInsertSettings are those of inserts of points. A late batch may reach back over many months, and each is a partition. And
// what an insert brings is sorted out before it, so ClickHouse need not look for rows of one identity in it, which took it a fifth of the
// processor time of an insert of 10,000; those who read fold them anyway.
var pointInsertSettings = clickhouse.Settings{"max_partitions_per_insert_block": 0, "optimize_on_insert": 0}

// InsertDataPoints writes points in one insert: when it returns nil they are in ClickHouse, with the
// durability that Options.NoFsync chooses. Its error matches DiskFull below Options.DiskReserve. On an
// error some of them may have been written (an insert is atomic only within a month); writing them again
// is harmless.
func (db *PointTable) InsertDataPoints(ctx context.Context, points []OwnedPoint) error {
	insert := db.pointInserts.take()
	columns := &insert.columns
	var device []byte // of the row before: neighbours are mostly one device's
	for i := range points {
		p := &points[i]
		if i == 0 || p.DeviceID != points[i-1].DeviceID {
			device = p.DeviceID.AppendHex(device[:0])
		}
		columns.append(&p.DataPoint)
		appendText(&columns.organisation, p.OrgID)
		appendText(&columns.device, device)
	}
	ctx = withSettings(ctx, pointInsertSettings)
	if err := db.insertBlock(ctx, db.into(dataPointsTable), len(points), columns.input(), &insert.block); err != nil {
		if diskFull(err) {
			err = DiskFull.Because(err)
		}
		return fmt.Errorf("insert %d data points: %w", len(points), err)
	}
	db.pointInserts.keep(insert, columns.input())
	return nil
}
