package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// PointReader streams data points. It folds neighbours of the same identity into the row that
// counts, as a merge would, and holds at most two blocks of the result at a time. It belongs to one
// goroutine; Close frees the query, also before the end.
type PointReader struct {
	native  *nativeReader
	cancel  context.CancelFunc // ends the query
	ahead   *readAhead         // nil for a short result
	columns *pointColumns
	wanted  columnSet
	places  bool // rows of one identity that arrived at different times are no neighbours
	rows    int  // in the current block
	row     int  // the next one to look at
	current DataPoint
	err     error
}

// columnSet is which columns of a point a query selects.
type columnSet uint8

const (
	allColumns      columnSet = iota // of points of one session, which is known
	positionColumns                  // of those, what clusters need: time, position, marks
	identityColumns                  // all, of points of several sessions
)

func (s columnSet) selectList() string {
	switch s {
	case positionColumns:
		return "timestamp, latitude, longitude, outlier, version, received_at"
	case allColumns:
		return strings.TrimPrefix(pointSelect, "session_id, ")
	}
	return pointSelect
}

// wantedResults are the columns that selectList names.
func (c *pointColumns) wantedResults(s columnSet) proto.Results {
	switch all := c.results(); s {
	case positionColumns:
		return proto.Results{
			{Name: "timestamp", Data: &c.timestamp}, {Name: "latitude", Data: &c.latitude}, {Name: "longitude", Data: &c.longitude},
			{Name: "outlier", Data: &c.outlier}, {Name: "version", Data: &c.version}, {Name: "received_at", Data: &c.receivedAt},
		}
	case allColumns:
		return all[1:]
	default:
		return all
	}
}

// readPoints starts a query over several sessions whose select list is pointSelect and whose rows of
// one identity are neighbours.
func (db *PointTable) readPoints(ctx context.Context, query string, args ...any) (*PointReader, error) {
	return db.readSession(ctx, identityColumns, ID{}, query, args...)
}

// readSession starts a query over one session whose select list is that of the wanted columns and
// whose rows of one identity are neighbours. The columns that are not wanted have absent values.
func (db *PointTable) readSession(ctx context.Context, wanted columnSet, session ID, query string, args ...any) (*PointReader, error) {
	columns := new(pointColumns)
	ctx, cancel := context.WithCancel(ctx)
	native, err := db.queryNative(ctx, columns.wantedResults(wanted), query, args...)
	if err != nil {
		cancel()
		return nil, err
	}
	return &PointReader{native: native, cancel: cancel, columns: columns, wanted: wanted, current: NewDataPoint(session, 0, 0, 0)}, nil
}

// Next moves to the next point and reports whether there is one; after false, Err says whether the
// stream ended or broke.
func (r *PointReader) Next() bool {
	if !r.fill() {
		return false
	}
	r.value(r.row, &r.current)
	r.row++
	// Rows of this identity that follow are older or newer versions of it.
	for r.fill() && r.continues() {
		other := r.current
		if r.value(r.row, &other); other.Supersedes(&r.current) {
			r.current = other
		}
		r.row++
	}
	return r.err == nil || errors.Is(r.err, io.EOF)
}

// fill reports whether there is a row to look at, which may take reading the next block.
func (r *PointReader) fill() bool {
	if r.err != nil {
		return false
	}
	if r.row < r.rows {
		return true
	}
	r.row = 0
	r.nextBlock()
	return r.err == nil
}

func (r *PointReader) nextBlock() {
	if r.ahead != nil {
		block := r.ahead.next(r.columns)
		r.columns, r.rows, r.err = block.columns, block.rows, block.err
		return
	}
	r.rows, r.err = r.native.next()
	if r.err == nil && r.rows >= longBlock {
		r.ahead = startReadAhead(r.native, r.wanted)
	}
}

// continues reports whether the row to look at has the identity of the current point.
func (r *PointReader) continues() bool {
	if int64(r.columns.timestamp.Data[r.row]) != r.current.Timestamp || r.places && int64(r.columns.receivedAt.Data[r.row]) != r.current.ReceivedAt {
		return false
	}
	return r.wanted != identityColumns || r.columns.ids.ids[r.row] == r.current.SessionID
}

// value fills p from a row of the block.
func (r *PointReader) value(i int, p *DataPoint) {
	c := r.columns
	switch r.wanted {
	case identityColumns:
		c.fill(i, c.ids.ids[i], p)
		return
	case allColumns:
		p.Altitude, p.Accuracy, p.Temperature = c.altitude[i], c.accuracy[i], c.temperature[i]
		p.Speed, p.Heading, p.Battery = c.speed[i], c.heading[i], c.battery[i]
	}
	p.SessionID = r.current.SessionID
	p.Timestamp, p.ReceivedAt = int64(c.timestamp.Data[i]), int64(c.receivedAt.Data[i])
	p.Latitude, p.Longitude = c.latitude[i], c.longitude[i]
	p.Outlier, p.Version = Outlier(c.outlier[i]), c.version[i]
}

// Supersedes reports whether p rather than q counts, which has the same identity: the higher version
// does. Versions tie only when two nodes wrote the same point at the same time; the earlier receipt
// then wins on every reader alike.
func (p *DataPoint) Supersedes(q *DataPoint) bool {
	if p.Version != q.Version {
		return p.Version > q.Version
	}
	return p.ReceivedAt < q.ReceivedAt
}

// Point returns the point that Next moved to. It is overwritten by the next call of Next.
func (r *PointReader) Point() *DataPoint {
	return &r.current
}

// Err returns what broke the stream, or nil when it ended well.
func (r *PointReader) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

// Close ends the query.
func (r *PointReader) Close() error {
	if r.ahead != nil {
		r.cancel()
		r.ahead.close()
	}
	defer r.cancel()
	return r.native.close()
}

// streaming returns the settings of a query that streams one session in key order: one thread keeps
// memory and the time to the first block small. The buffering that ClickHouse puts between the parts
// and their merge would hold a hundred megabytes a query where a history has many parts, and is no
// faster with one thread. Virtual rows let it open a part when the merge comes to it rather than all at
// the start, four megabytes each. They are asked of the engine that comes with us and not of a server,
// since older ones read beyond an index whose suffix is not kept in memory (ClickHouse issue 85596).
func (db *PointTable) streaming() clickhouse.Settings {
	settings := clickhouse.Settings{
		"max_threads": 1, "optimize_read_in_order": 1, "read_in_order_use_buffering": 0,
		"query_plan_remove_redundant_sorting": 0, // for folded
	}
	if db.ownEngine {
		settings["read_in_order_use_virtual_row"] = 1
	}
	return settings
}

// sessionRange names one session as a range, since ClickHouse uses no virtual rows in a query that fixes a
// column of the key. Reading by the key's index is the same. PREWHERE is what ClickHouse would make of WHERE, after half a millisecond of
// thinking about it; virtual rows work with either.
const sessionRange = ` FROM session_by_device_data_points
PREWHERE session_id >= {session:String} AND session_id <= {session:String}` + timestampRange

const timestampRange = `
  AND timestamp >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({end:Int64}, 'UTC')`

// keyOrder is the order in which ClickHouse keeps the rows.
const keyOrder = " ORDER BY session_id, timestamp"

// folded selects columns of the rows of a range, of one identity the row that counts, as Supersedes does, in
// ascending time. The inner order by nothing but the key is what ClickHouse needs for virtual rows; the
// outer one then sorts within an identity. Because LIMIT BY names the columns that the rows are sorted by,
// ClickHouse remembers one row and not a set of them all.
func folded(columns string) string {
	return "(SELECT " + columns + " FROM (SELECT *" + sessionRange + keyOrder + `)
ORDER BY session_id, timestamp, version DESC, received_at LIMIT 1 BY session_id, timestamp)`
}

func sessionRangeArgs(session ID, start, end int64) []any {
	return []any{
		clickhouse.Named("session", session.String()),
		clickhouse.Named("start", storableTime(start)), clickhouse.Named("end", storableTime(end)),
	}
}

// The times with which stored ones are compared, in Unix milliseconds: points are not older than the year
// 2000, and a DateTime64(3) ends with 2299. One server of a cluster cannot read what another makes of a
// time before 1970.
var (
	earliestTime int64 = 0
	latestTime         = time.Date(2299, 12, 31, 23, 59, 59, 999e6, time.UTC).UnixMilli()
)

// storableTime moves the end of a range into what can be compared with stored times.
func storableTime(ms int64) int64 {
	return min(max(ms, earliestTime), latestTime)
}

// ReadDataPoints streams the points of a session with start <= timestamp < end (Unix milliseconds)
// in ascending time, outliers included.
func (db *PointTable) ReadDataPoints(ctx context.Context, session ID, start, end int64) (*PointReader, error) {
	return db.readRange(ctx, allColumns, session, start, end)
}

// ReadPositions is ReadDataPoints for who needs of each point only its time, its coordinates and its
// marks: nothing else is read.
func (db *PointTable) ReadPositions(ctx context.Context, session ID, start, end int64) (*PointReader, error) {
	return db.readRange(ctx, positionColumns, session, start, end)
}

func (db *PointTable) readRange(ctx context.Context, wanted columnSet, session ID, start, end int64) (*PointReader, error) {
	reader, err := db.readSession(withSettings(ctx, db.streaming()), wanted, session,
		"SELECT "+wanted.selectList()+sessionRange+keyOrder, sessionRangeArgs(session, start, end)...)
	if err != nil {
		return nil, fmt.Errorf("read the data points of a session: %w", err)
	}
	return reader, nil
}

// ReadReceivedSince streams every point that was received at or after a time (Unix milliseconds), by
// session and ascending time.
func (db *PointTable) ReadReceivedSince(ctx context.Context, receivedAt int64) (*PointReader, error) {
	reader, err := db.readPoints(ctx,
		"SELECT "+pointSelect+` FROM session_by_device_data_points
WHERE received_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') ORDER BY session_id, timestamp`,
		clickhouse.Named("since", receivedAt))
	if err != nil {
		return nil, fmt.Errorf("read the data points received since a time: %w", err)
	}
	return reader, nil
}

// PointKey is a point's identity.
type PointKey struct {
	SessionID ID
	Timestamp int64 // Unix milliseconds
}

// FindDataPoints returns those of the points with the given identities that are stored.
func (db *PointTable) FindDataPoints(ctx context.Context, keys []PointKey) (map[PointKey]DataPoint, error) {
	found := make(map[PointKey]DataPoint)
	for chunk := range slices.Chunk(keys, rowsPerSet) {
		if err := db.findDataPoints(ctx, chunk, found); err != nil {
			return nil, fmt.Errorf("find data points by identity: %w", err)
		}
	}
	return found, nil
}

func (db *PointTable) findDataPoints(ctx context.Context, keys []PointKey, found map[PointKey]DataPoint) error {
	sessions, timestamps := make([]string, len(keys)), make([]int64, len(keys))
	oldest, newest := keys[0].Timestamp, keys[0].Timestamp
	for i, key := range keys {
		sessions[i], timestamps[i] = key.SessionID.String(), key.Timestamp
		oldest, newest = min(oldest, key.Timestamp), max(newest, key.Timestamp)
	}
	ctx, err := withSet(ctx, setColumn{"session", "String", sessions}, setColumn{"ms", "Int64", timestamps})
	if err != nil {
		return err
	}
	// The bounds on the timestamp let ClickHouse skip whole months; the set uses the primary key.
	reader, err := db.readPoints(ctx, "SELECT "+pointSelect+` FROM session_by_device_data_points
WHERE timestamp >= fromUnixTimestamp64Milli({oldest:Int64}, 'UTC') AND timestamp <= fromUnixTimestamp64Milli({newest:Int64}, 'UTC')
  AND (session_id, timestamp) IN (SELECT session, fromUnixTimestamp64Milli(ms, 'UTC') FROM wanted)
ORDER BY session_id, timestamp`,
		clickhouse.Named("oldest", oldest), clickhouse.Named("newest", newest))
	if err != nil {
		return err
	}
	defer reader.Close()
	for reader.Next() {
		p := reader.Point()
		found[PointKey{p.SessionID, p.Timestamp}] = *p
	}
	return reader.Err()
}
