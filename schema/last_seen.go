package schema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// lastSeenTable is the checkpoint of the last_seen table in memory, one row a session. It is never
// the truth: a start loads it and then replays the history received after its watermark.
var lastSeenTable = table{
	name: "session_by_device_last_seen",
	columns: `    session_id String,
    timestamp DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    latitude Int32,
    longitude Int32,
    altitude Int32,
    accuracy UInt32,
    speed UInt16,
    heading UInt16,
    temperature Float32,
    battery UInt16,
    outlier UInt8,
    point_version UInt32,
    newest_timestamp DateTime64(3, 'UTC'),
    stale UInt8,
    watermark DateTime64(3, 'UTC'),
    version UInt64`,
	engine:  "ReplacingMergeTree(version)",
	tail:    "ORDER BY session_id",
	shardBy: "cityHash64(session_id)",
}

// Checkpoint is one session's row of the last_seen checkpoint.
type Checkpoint struct {
	// Point is the newest point that is not an outlier. A session all of whose points are
	// outliers has the newest of those here, with its mark.
	Point DataPoint
	// NewestTimestamp is the timestamp of the newest point, outlier or not, Unix milliseconds.
	NewestTimestamp int64
	// Stale says that the row must not be believed and the history asked instead: it is set around
	// the marking of outliers, so that a crash in between cannot leave a marked point on show.
	Stale bool
}

// checkpointColumns are the columns of a checkpoint row, in the order of its Native blocks.
type checkpointColumns struct {
	point             pointColumns
	newest, watermark proto.ColDateTime64
	version           proto.ColUInt64
	stale             proto.ColUInt8
}

func (c *checkpointColumns) input() proto.Input {
	c.newest.WithPrecision(proto.PrecisionMilli)
	c.watermark.WithPrecision(proto.PrecisionMilli)
	var input proto.Input
	for _, column := range c.point.input() {
		switch column.Name {
		case "org_id", "device_id":
			continue
		case "version":
			column.Name = "point_version"
		}
		input = append(input, column)
	}
	return append(input,
		proto.InputColumn{Name: "newest_timestamp", Data: &c.newest},
		proto.InputColumn{Name: "stale", Data: &c.stale},
		proto.InputColumn{Name: "watermark", Data: &c.watermark},
		proto.InputColumn{Name: "version", Data: &c.version})
}

// SaveCheckpoints writes checkpoint rows. version must grow from one call to the next. watermark
// (Unix milliseconds) promises that every point received before it is in the checkpoint, in these
// rows or in earlier ones; a call that saves only a part of what is due repeats the last watermark.
func (db *DB) SaveCheckpoints(ctx context.Context, rows []Checkpoint, version uint64, watermark int64) error {
	var columns checkpointColumns
	for i := range rows {
		columns.point.append(&rows[i].Point)
		columns.newest.AppendRaw(proto.DateTime64(rows[i].NewestTimestamp))
		columns.stale.Append(boolToUint8(rows[i].Stale))
		columns.watermark.AppendRaw(proto.DateTime64(watermark))
		columns.version.Append(version)
	}
	if err := db.insertNative(ctx, lastSeenTable.name, len(rows), columns.input()); err != nil {
		return fmt.Errorf("save %d last_seen checkpoints: %w", len(rows), err)
	}
	return nil
}

// CheckpointWatermark returns the newest watermark (Unix milliseconds), 0 when nothing was ever saved.
func (db *DB) CheckpointWatermark(ctx context.Context) (int64, error) {
	var watermark int64
	row := db.conn.QueryRow(ctx, "SELECT toUnixTimestamp64Milli(max(watermark)) FROM session_by_device_last_seen")
	if err := row.Scan(&watermark); err != nil {
		return 0, fmt.Errorf("read the last_seen watermark: %w", err)
	}
	return watermark, nil
}

// LoadCheckpoints calls each for every session's newest checkpoint, in no particular order.
func (db *DB) LoadCheckpoints(ctx context.Context, each func(Checkpoint)) error {
	var columns checkpointColumns
	columns.newest.WithPrecision(proto.PrecisionMilli)
	results := columns.point.results()
	results[len(results)-1].Name = "point_version"
	results = append(results,
		proto.ResultColumn{Name: "newest_timestamp", Data: &columns.newest}, proto.ResultColumn{Name: "stale", Data: &columns.stale})
	native, err := db.queryNative(ctx, results, `SELECT session_id, timestamp, received_at, latitude, longitude, altitude, accuracy,
  speed, heading, temperature, battery, outlier, point_version, newest_timestamp, stale
FROM session_by_device_last_seen FINAL`)
	if err != nil {
		return fmt.Errorf("load the last_seen checkpoints: %w", err)
	}
	defer native.close()
	return native.eachRow(func(i int) error {
		row := Checkpoint{NewestTimestamp: int64(columns.newest.Data[i]), Stale: columns.stale[i] != 0}
		if err := columns.point.row(i, &row.Point); err != nil {
			return err
		}
		each(row)
		return nil
	})
}

// NewestPoints computes from the history what the checkpoints of some sessions should say; a session
// without points is missing from the answer. It is for sessions whose newest point was marked or is
// not in memory.
func (db *DB) NewestPoints(ctx context.Context, sessions []ID) ([]Checkpoint, error) {
	var all []Checkpoint
	for len(sessions) > 0 {
		n := min(len(sessions), pointKeysPerQuery)
		ids := make([]string, n)
		for i, id := range sessions[:n] {
			ids[i] = id.String()
		}
		reader, err := db.readPoints(ctx, `SELECT * FROM (
  SELECT `+pointSelect+` FROM session_by_device_data_points
  WHERE session_id IN ({sessions:Array(String)})
  ORDER BY session_id, timestamp DESC, version DESC, received_at LIMIT 1 BY session_id, timestamp
) ORDER BY session_id, timestamp DESC LIMIT 1 BY session_id, outlier = 0`,
			clickhouse.Named("sessions", ids))
		if err != nil {
			return nil, fmt.Errorf("find the newest points of %d sessions: %w", n, err)
		}
		all, err = collectNewest(reader, all)
		if err != nil {
			return nil, fmt.Errorf("find the newest points of %d sessions: %w", n, err)
		}
		sessions = sessions[n:]
	}
	return all, nil
}

// collectNewest joins the at most two rows of a session: its newest outlier and its newest other point.
func collectNewest(reader *PointReader, all []Checkpoint) ([]Checkpoint, error) {
	defer reader.Close()
	for reader.Next() {
		p := reader.Point()
		if n := len(all); n > 0 && all[n-1].Point.SessionID == p.SessionID {
			if p.Outlier == NotOutlier {
				all[n-1].Point = *p
			}
			continue // rows descend in time, so NewestTimestamp is the first one's
		}
		all = append(all, Checkpoint{Point: *p, NewestTimestamp: p.Timestamp})
	}
	return all, reader.Err()
}

func boolToUint8(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
