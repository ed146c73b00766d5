package schema

import (
	"context"
	"fmt"
	"slices"

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
func (db *CheckpointTable) SaveCheckpoints(ctx context.Context, rows []Checkpoint, version uint64, watermark int64) error {
	insert := db.checkpointInserts.take()
	columns := &insert.columns
	for i := range rows {
		columns.point.append(&rows[i].Point)
		columns.newest.AppendRaw(proto.DateTime64(rows[i].NewestTimestamp))
		columns.stale.Append(boolToUint8(rows[i].Stale))
		columns.watermark.AppendRaw(proto.DateTime64(watermark))
		columns.version.Append(version)
	}
	if err := db.insertBlock(ctx, db.into(lastSeenTable), len(rows), columns.input(), &insert.block); err != nil {
		return fmt.Errorf("save %d last_seen checkpoints: %w", len(rows), err)
	}
	db.checkpointInserts.keep(insert, columns.input())
	return nil
}

// LastSeenState is how far the checkpoint had come when it was last saved, zero if it never was.
type LastSeenState struct {
	Version   uint64 // of the last save
	Watermark int64  // every point received before it (Unix milliseconds) is in the checkpoint
}

// LastSeenState reads how far the checkpoint has come.
func (db *CheckpointTable) LastSeenState(ctx context.Context) (LastSeenState, error) {
	var state LastSeenState
	row := db.conn.QueryRow(ctx, `SELECT max(version), toUnixTimestamp64Milli(argMax(watermark, (version, watermark)))
FROM session_by_device_last_seen`)
	if err := row.Scan(&state.Version, &state.Watermark); err != nil {
		return LastSeenState{}, fmt.Errorf("read the last_seen watermark: %w", err)
	}
	return state, nil
}

// StaleCheckpoints returns the sessions whose checkpoints must not be believed.
func (db *CheckpointTable) StaleCheckpoints(ctx context.Context) (sessions []ID, err error) {
	rows, err := db.conn.Query(ctx, "SELECT session_id FROM session_by_device_last_seen FINAL WHERE stale != 0")
	if err != nil {
		return nil, fmt.Errorf("look for last_seen checkpoints that must not be believed: %w", err)
	}
	err = eachStruct(rows, "look for last_seen checkpoints that must not be believed", func(row struct {
		Session ID `ch:"session_id"`
	}) {
		sessions = append(sessions, row.Session)
	})
	return sessions, err
}

// selectCheckpoints reads every Checkpoint.
const selectCheckpoints = `SELECT session_id, timestamp, received_at, latitude, longitude, altitude, accuracy,
  speed, heading, temperature, battery, outlier, point_version, newest_timestamp, stale
FROM session_by_device_last_seen FINAL`

// LoadCheckpoints calls each for every session's newest checkpoint, in no particular order.
func (db *CheckpointTable) LoadCheckpoints(ctx context.Context, each func(Checkpoint)) error {
	var columns checkpointColumns
	columns.newest.WithPrecision(proto.PrecisionMilli)
	results := columns.point.results()
	results[len(results)-1].Name = "point_version"
	results = append(results,
		proto.ResultColumn{Name: "newest_timestamp", Data: &columns.newest}, proto.ResultColumn{Name: "stale", Data: &columns.stale})
	native, err := db.queryNative(readingAll(ctx), results, selectCheckpoints)
	if err != nil {
		return fmt.Errorf("load the last_seen checkpoints: %w", err)
	}
	defer native.close()
	return native.eachRow(func(i int) error {
		row := Checkpoint{NewestTimestamp: int64(columns.newest.Data[i]), Stale: columns.stale[i] != 0}
		columns.point.fill(i, columns.point.ids.ids[i], &row.Point)
		each(row)
		return nil
	})
}

// NewestPoints computes from the history what the checkpoints of some sessions should say, in no
// particular order; a session without points is missing from the answer. It is for sessions whose
// newest point was marked or is not in memory.
func (db *PointTable) NewestPoints(ctx context.Context, sessions []ID) ([]Checkpoint, error) {
	var all []Checkpoint
	var err error
	if len(sessions) <= newestOneByOne {
		all, err = db.newestOneByOne(ctx, sessions)
	} else {
		all, err = db.newestTogether(ctx, sessions)
	}
	if err != nil {
		return nil, fmt.Errorf("find the newest points of %d sessions: %w", len(sessions), err)
	}
	return all, nil
}

// newestOneByOne is how many sessions are read one after the other, which takes some milliseconds a
// session however long its history is. Reading several at once saves these but goes through the
// whole history of each.
const newestOneByOne = 8

func (db *PointTable) newestOneByOne(ctx context.Context, sessions []ID) ([]Checkpoint, error) {
	var all []Checkpoint
	for _, session := range sessions {
		newest, found, err := db.newestPoint(ctx, session)
		if err != nil {
			return nil, err
		}
		if found {
			all = append(all, newest)
		}
	}
	return all, nil
}

// newestPoint reads a session backwards until a point that is not an outlier.
func (db *PointTable) newestPoint(ctx context.Context, session ID) (newest Checkpoint, found bool, err error) {
	reader, err := db.readSession(withSettings(ctx, clickhouse.Settings{
		"max_threads": 1, "optimize_read_in_order": 1, "max_block_size": 1024,
	}), allColumns, session, "SELECT "+allColumns.selectList()+` FROM session_by_device_data_points
WHERE session_id = {session:String} ORDER BY session_id DESC, timestamp DESC`,
		clickhouse.Named("session", session.String()))
	if err != nil {
		return Checkpoint{}, false, err
	}
	defer reader.Close()
	for reader.Next() {
		p := reader.Point()
		if !found {
			newest, found = Checkpoint{Point: *p, NewestTimestamp: p.Timestamp}, true
		}
		if p.Outlier == NotOutlier {
			newest.Point = *p
			return newest, true, nil
		}
	}
	return newest, found, reader.Err()
}

// newestTogether finds the timestamps in one pass over narrow columns and then looks the points up.
func (db *PointTable) newestTogether(ctx context.Context, sessions []ID) ([]Checkpoint, error) {
	newest := make(map[PointKey]int64, len(sessions)) // the point to show to the newest timestamp
	keys := make([]PointKey, 0, len(sessions))
	for chunk := range slices.Chunk(sessions, rowsPerSet) {
		wanted, err := withIDs(ctx, "session", chunk)
		if err != nil {
			return nil, err
		}
		rows, err := db.conn.Query(withSettings(wanted, clickhouse.Settings{"optimize_aggregation_in_order": 1}),
			`SELECT session_id, toUnixTimestamp64Milli(if(countIf(outlier = 0) > 0, maxIf(timestamp, outlier = 0), max(timestamp))) AS shown,
  toUnixTimestamp64Milli(max(timestamp)) AS newest
FROM (
  SELECT session_id, timestamp, argMax(outlier, (version, -toUnixTimestamp64Milli(received_at))) AS outlier
  FROM session_by_device_data_points WHERE session_id IN (SELECT session FROM wanted)
  GROUP BY session_id, timestamp
) GROUP BY session_id`)
		if err != nil {
			return nil, err
		}
		type row struct {
			Session ID    `ch:"session_id"`
			Shown   int64 `ch:"shown"`
			Newest  int64 `ch:"newest"`
		}
		err = eachStruct(rows, "read the newest timestamps", func(r row) {
			key := PointKey{r.Session, r.Shown}
			newest[key] = r.Newest
			keys = append(keys, key)
		})
		if err != nil {
			return nil, err
		}
	}
	points, err := db.FindDataPoints(ctx, keys)
	if err != nil {
		return nil, err
	}
	all := make([]Checkpoint, 0, len(points))
	for key, p := range points {
		all = append(all, Checkpoint{Point: p, NewestTimestamp: newest[key]})
	}
	return all, nil
}

func boolToUint8(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
