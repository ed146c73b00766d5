package schema

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Around is a time in the history of a session, both ends included (Unix milliseconds).
type Around struct {
	Session       ID
	From, Through int64
}

// MostAround is how many times one call of ReadAround may name: each is a part of the statement.
const MostAround = 32

// ReadAround returns the points of some sessions, of each in a time of its own and in ascending order. It reads so many
// rows of each at most, the first or, backwards, the last of the time. No session may be named twice.
func (db *PointTable) ReadAround(ctx context.Context, times []Around, rows int, backwards bool) (map[ID][]DataPoint, error) {
	points := make(map[ID][]DataPoint, len(times))
	if len(times) == 0 {
		return points, nil
	}
	conditions, order := make([]string, len(times)), "timestamp"
	if backwards {
		order = "timestamp DESC"
	}
	args := []any{clickhouse.Named("rows", int64(rows))}
	for i, t := range times {
		n := strconv.Itoa(i)
		conditions[i] = "(session_id = {session" + n + ":String} AND timestamp >= fromUnixTimestamp64Milli({from" + n +
			":Int64}, 'UTC') AND timestamp <= fromUnixTimestamp64Milli({through" + n + ":Int64}, 'UTC'))"
		args = append(args, clickhouse.Named("session"+n, t.Session.String()),
			clickhouse.Named("from"+n, storableTime(t.From)), clickhouse.Named("through"+n, storableTime(t.Through)))
	}
	reader, err := db.readPoints(ctx, "SELECT "+pointSelect+" FROM session_by_device_data_points\nWHERE "+strings.Join(conditions, " OR ")+
		"\nORDER BY session_id, "+order+" LIMIT {rows:Int64} BY session_id", args...)
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
	if backwards {
		for _, of := range points {
			slices.Reverse(of)
		}
	}
	return points, nil
}
