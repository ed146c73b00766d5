package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// PageEnd returns where a page of at most limit points ends that begins at start: the timestamp (Unix
// milliseconds) of the first point that does not fit, and false when everything before end fits.
// limit is at least 1. It reads no column but the timestamp, and no further than the page.
func (db *PointTable) PageEnd(ctx context.Context, session ID, start, end int64, limit int) (int64, bool, error) {
	first, more, err := db.boundary(withSettings(ctx, db.streaming()), "SELECT timestamp AS received_at, session_id, timestamp"+sessionRange+keyOrder+`
  LIMIT 1 BY session_id, timestamp LIMIT {limit:Int64}, 1`,
		append(sessionRangeArgs(session, start, end), clickhouse.Named("limit", int64(limit)))...)
	return first.Timestamp, more, err
}

// boundary runs a query for one row of a received_at, a session_id and a timestamp, or none.
func (db *PointTable) boundary(ctx context.Context, query string, args ...any) (at Receipt, found bool, err error) {
	var received, stamp proto.ColDateTime64
	var session proto.ColStr
	received.WithPrecision(proto.PrecisionMilli)
	stamp.WithPrecision(proto.PrecisionMilli)
	native, err := db.queryNative(ctx, proto.Results{
		{Name: "received_at", Data: &received}, {Name: "session_id", Data: &session}, {Name: "timestamp", Data: &stamp},
	}, query, args...)
	if err != nil {
		return Receipt{}, false, fmt.Errorf("find the end of a page of data points: %w", err)
	}
	defer native.close()
	for {
		rows, err := native.next()
		switch {
		case errors.Is(err, io.EOF):
			return at, found, nil
		case err != nil:
			return Receipt{}, false, fmt.Errorf("find the end of a page of data points: %w", err)
		case rows > 0:
			at, found = Receipt{ReceivedAt: int64(received.Data[0]), Timestamp: int64(stamp.Data[0])}, true
			at.Session, _ = ParseID(session.RowBytes(0))
		}
	}
}

// NewestReceipt returns the newest time (Unix milliseconds) at which a stored point was received, and 0
// when no point is stored. It looks back from now step by step, so that where points arrive all the time it
// looks at few rows.
func (db *PointTable) NewestReceipt(ctx context.Context, now time.Time) (int64, error) {
	for _, back := range []time.Duration{time.Minute, time.Hour, 4 * day, 200 * day, 0} {
		var since int64
		if back > 0 {
			since = now.Add(-back).UnixMilli()
		}
		newest, found, err := db.boundary(ctx, `SELECT received_at, session_id, received_at AS timestamp FROM session_by_device_data_points
WHERE received_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') ORDER BY received_at DESC LIMIT 1`,
			clickhouse.Named("since", storableTime(since)))
		if err != nil || found {
			return newest.ReceivedAt, err
		}
	}
	return 0, nil
}
