package schema

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Around is a time in the history of a session (Unix milliseconds): from From to before At, and from At through Through.
type Around struct {
	Session           ID
	From, At, Through int64
}

// MostAround is how many times one call of ReadAround may name.
const MostAround = 32

// aroundSelect reads one side of the times. The first three conditions are what the table's key can skip by; which time is
// whose is looked up for each row, since a condition for each session would be tried on every row of all.
const aroundSelect = "SELECT " + pointSelect + ` FROM session_by_device_data_points
WHERE session_id IN {sessions:Array(String)} AND timestamp >= fromUnixTimestamp64Milli({first:Int64}, 'UTC') AND timestamp <= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
  AND toUnixTimestamp64Milli(timestamp) %s transform(session_id, {sessions:Array(String)}, {at:Array(Int64)}, toInt64(0))
  AND toUnixTimestamp64Milli(timestamp) %s transform(session_id, {sessions:Array(String)}, {%s:Array(Int64)}, toInt64(0))
ORDER BY session_id, timestamp%s LIMIT {%s:Int64} BY session_id`

var aroundStatement = fmt.Sprintf("("+aroundSelect+") UNION ALL ("+aroundSelect+")",
	"<", ">=", "from", " DESC", "before", ">=", "<=", "through", "", "after")

// ReadAround returns the points of some sessions, of each in a time of its own and in ascending order. Of each it reads so many
// rows before At at most, the last ones, and so many from At on, the first ones. No session may be named twice.
func (db *PointTable) ReadAround(ctx context.Context, times []Around, before, after int) (map[ID][]DataPoint, error) {
	points := make(map[ID][]DataPoint, len(times))
	if len(times) == 0 {
		return points, nil
	}
	var sessions []string
	var from, at, through []int64
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for _, t := range times {
		sessions = append(sessions, t.Session.String())
		from, at, through = append(from, storableTime(t.From)), append(at, storableTime(t.At)), append(through, storableTime(t.Through))
		first, last = min(first, storableTime(t.From)), max(last, storableTime(t.Through))
	}
	reader, err := db.readPoints(withSettings(ctx, clickhouse.Settings{"max_threads": 1}), aroundStatement, clickhouse.Named("sessions", sessions), clickhouse.Named("first", first), clickhouse.Named("last", last),
		clickhouse.Named("from", from), clickhouse.Named("at", at), clickhouse.Named("through", through),
		clickhouse.Named("before", int64(before)), clickhouse.Named("after", int64(after)))
	if err != nil {
		return nil, fmt.Errorf("read the points around some: %w", err)
	}
	defer reader.Close()
	for reader.Next() {
		p := reader.Point()
		points[p.SessionID] = append(points[p.SessionID], *p)
	}
	if err := reader.Err(); err != nil {
		return nil, fmt.Errorf("read the points around some: %w", err)
	}
	for session, of := range points {
		points[session] = inOrder(of)
	}
	return points, nil
}

// inOrder sorts points of a session, of which two parts of a statement may have returned versions of one each.
func inOrder(points []DataPoint) []DataPoint {
	slices.SortFunc(points, func(p, q DataPoint) int { return cmp.Compare(p.Timestamp, q.Timestamp) })
	kept := points[:0]
	for i := range points {
		p := &points[i]
		switch last := len(kept) - 1; {
		case last < 0 || kept[last].Timestamp != p.Timestamp:
			kept = append(kept, *p)
		case p.Supersedes(&kept[last]):
			kept[last] = *p
		}
	}
	return kept
}
