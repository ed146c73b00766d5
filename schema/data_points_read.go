package schema

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// PointReader streams data points. It folds neighbours of the same identity into the row that
// counts, as a merge would, and holds one block of the result at a time. It belongs to one
// goroutine; Close frees the query, also before the end.
type PointReader struct {
	native  *nativeReader
	columns *pointColumns
	rows    int // in the current block
	row     int // the next one to look at
	current DataPoint
	ahead   DataPoint // the row after current, already read
	isAhead bool
	err     error
}

// readPoints starts a query whose select list is pointSelect and whose rows of one identity are neighbours.
func (db *DB) readPoints(ctx context.Context, query string, args ...any) (*PointReader, error) {
	columns := new(pointColumns)
	native, err := db.queryNative(ctx, columns.results(), query, args...)
	if err != nil {
		return nil, err
	}
	return &PointReader{native: native, columns: columns}, nil
}

// Next moves to the next point and reports whether there is one; after false, Err says whether the
// stream ended or broke.
func (r *PointReader) Next() bool {
	if !r.isAhead && !r.read() {
		return false
	}
	r.current, r.isAhead = r.ahead, false
	for r.read() {
		if r.ahead.SessionID != r.current.SessionID || r.ahead.Timestamp != r.current.Timestamp {
			return true
		}
		if r.ahead.supersedes(&r.current) {
			r.current = r.ahead
		}
		r.isAhead = false
	}
	return r.err == nil
}

// supersedes orders rows of one identity. Versions tie only when two nodes wrote the same point at
// the same time; the earlier receipt then wins on every reader alike.
func (p *DataPoint) supersedes(q *DataPoint) bool {
	if p.Version != q.Version {
		return p.Version > q.Version
	}
	return p.ReceivedAt < q.ReceivedAt
}

// read puts the next row into ahead.
func (r *PointReader) read() bool {
	if r.err != nil {
		return false
	}
	if r.row == r.rows {
		rows, err := r.native.next()
		if err != nil {
			r.err = err
			return false
		}
		r.rows, r.row = rows, 0
	}
	if err := r.columns.row(r.row, &r.ahead); err != nil {
		r.err = err
		return false
	}
	r.row++
	r.isAhead = true
	return true
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
	return r.native.close()
}

// streaming are the settings of a query that streams one session in key order: one thread keeps
// memory and the time to the first block small.
var streaming = clickhouse.Settings{"max_threads": 1, "optimize_read_in_order": 1}

const sessionRange = ` FROM session_by_device_data_points
WHERE session_id = {session:String}
  AND timestamp >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({end:Int64}, 'UTC')`

func sessionRangeArgs(session ID, start, end int64) []any {
	return []any{
		clickhouse.Named("session", session.String()),
		clickhouse.Named("start", start), clickhouse.Named("end", end),
	}
}

// ReadDataPoints streams the points of a session with start <= timestamp < end (Unix milliseconds)
// in ascending time, outliers included.
func (db *DB) ReadDataPoints(ctx context.Context, session ID, start, end int64) (*PointReader, error) {
	reader, err := db.readPoints(withSettings(ctx, streaming),
		"SELECT "+pointSelect+sessionRange+" ORDER BY session_id, timestamp", sessionRangeArgs(session, start, end)...)
	if err != nil {
		return nil, fmt.Errorf("read the data points of a session: %w", err)
	}
	return reader, nil
}

// ReadBuckets streams, in ascending time, the newest non-outlier point of each bucket of the range.
// Buckets are bucketSeconds long and aligned to the Unix epoch.
func (db *DB) ReadBuckets(ctx context.Context, session ID, start, end int64, bucketSeconds int) (*PointReader, error) {
	query := `SELECT * FROM (
  SELECT * FROM (
    SELECT ` + pointSelect + sessionRange + `
    ORDER BY session_id DESC, timestamp DESC, version DESC, received_at LIMIT 1 BY timestamp
  ) WHERE outlier = 0
  ORDER BY timestamp DESC LIMIT 1 BY intDiv(toUnixTimestamp64Milli(timestamp), {bucket:Int64})
) ORDER BY timestamp`
	args := append(sessionRangeArgs(session, start, end), clickhouse.Named("bucket", int64(bucketSeconds)*1000))
	reader, err := db.readPoints(withSettings(ctx, streaming), query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the buckets of a session: %w", err)
	}
	return reader, nil
}

// ReadReceivedSince streams every point that was received at or after a time (Unix milliseconds), by
// session and ascending time.
func (db *DB) ReadReceivedSince(ctx context.Context, receivedAt int64) (*PointReader, error) {
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

// pointKeysPerQuery keeps the bound parameter of one look-up well under a server's limit of a
// mebibyte for an address line.
const pointKeysPerQuery = 5000

// FindDataPoints returns those of the points with the given identities that are stored.
func (db *DB) FindDataPoints(ctx context.Context, keys []PointKey) (map[PointKey]DataPoint, error) {
	found := make(map[PointKey]DataPoint)
	for len(keys) > 0 {
		n := min(len(keys), pointKeysPerQuery)
		if err := db.findDataPoints(ctx, keys[:n], found); err != nil {
			return nil, fmt.Errorf("find data points by identity: %w", err)
		}
		keys = keys[n:]
	}
	return found, nil
}

func (db *DB) findDataPoints(ctx context.Context, keys []PointKey, found map[PointKey]DataPoint) error {
	sessions, timestamps := make([]string, len(keys)), make([]int64, len(keys))
	oldest, newest := keys[0].Timestamp, keys[0].Timestamp
	for i, key := range keys {
		sessions[i], timestamps[i] = key.SessionID.String(), key.Timestamp
		oldest, newest = min(oldest, key.Timestamp), max(newest, key.Timestamp)
	}
	// The bounds on the timestamp let ClickHouse skip whole months; the set uses the primary key.
	reader, err := db.readPoints(ctx, "SELECT "+pointSelect+` FROM session_by_device_data_points
WHERE timestamp >= fromUnixTimestamp64Milli({oldest:Int64}, 'UTC') AND timestamp <= fromUnixTimestamp64Milli({newest:Int64}, 'UTC')
  AND (session_id, timestamp) IN (
    SELECT pair.1, fromUnixTimestamp64Milli(pair.2, 'UTC')
    FROM (SELECT arrayJoin(arrayZip({sessions:Array(String)}, {timestamps:Array(Int64)})) AS pair))
ORDER BY session_id, timestamp`,
		clickhouse.Named("oldest", oldest), clickhouse.Named("newest", newest),
		clickhouse.Named("sessions", sessions), clickhouse.Named("timestamps", timestamps))
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
