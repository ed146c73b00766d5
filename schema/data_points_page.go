package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// FirstReceipt comes before every place in the order of arrival.
var FirstReceipt = Receipt{ReceivedAt: math.MinInt64, Timestamp: math.MinInt64}

// receiptRange narrows sessionRange to what arrived in Receipts. It looks at every row and not at what
// is left of a point after its versions have been folded: a consumer who was given an older version
// must be given the newer one when that arrives, and a row that was written twice must be found at its
// later place too. The first line is there for the index.
const receiptRange = `
  AND received_at >= fromUnixTimestamp64Milli({after_received:Int64}, 'UTC') AND received_at <= fromUnixTimestamp64Milli({through_received:Int64}, 'UTC')
  AND (received_at, timestamp) > (fromUnixTimestamp64Milli({after_received:Int64}, 'UTC'), fromUnixTimestamp64Milli({after:Int64}, 'UTC'))
  AND (received_at, timestamp) <= (fromUnixTimestamp64Milli({through_received:Int64}, 'UTC'), fromUnixTimestamp64Milli({through:Int64}, 'UTC'))`

func receiptArgs(r Receipts) []any {
	return []any{
		clickhouse.Named("after_received", storableTime(r.After.ReceivedAt)), clickhouse.Named("after", storableTime(r.After.Timestamp)),
		clickhouse.Named("through_received", storableTime(r.Through.ReceivedAt)), clickhouse.Named("through", storableTime(r.Through.Timestamp)),
	}
}

// ReadReceived streams the points of a session with start <= timestamp < end (Unix milliseconds) that
// arrived in receipts, in the order of their arrival. Of a point that was replaced, each version that
// is still stored has its own place.
func (db *PointTable) ReadReceived(ctx context.Context, session ID, start, end int64, receipts Receipts) (*PointReader, error) {
	reader, err := db.readSession(withSettings(ctx, sorting), allColumns, session,
		"SELECT "+allColumns.selectList()+sessionRange+receiptRange+" ORDER BY received_at, timestamp",
		append(sessionRangeArgs(session, start, end), receiptArgs(receipts)...)...)
	if err != nil {
		return nil, fmt.Errorf("read the data points of a session by their arrival: %w", err)
	}
	reader.places = true
	return reader, nil
}

// sorting are the settings of a query that sorts by arrival, which is not the order of the key.
var sorting = clickhouse.Settings{"max_threads": 1, "max_bytes_before_external_sort": 64 << 20}

// PageEnd returns where a page of at most limit points ends that begins at start: the timestamp (Unix
// milliseconds) of the first point that does not fit, and false when everything before end fits.
// limit is at least 1. It reads no column but the timestamp, and no further than the page.
func (db *PointTable) PageEnd(ctx context.Context, session ID, start, end int64, limit int) (int64, bool, error) {
	first, more, err := db.boundary(withSettings(ctx, db.streaming()), "SELECT timestamp AS received_at, timestamp"+sessionRange+keyOrder+`
  LIMIT 1 BY session_id, timestamp LIMIT {limit:Int64}, 1`,
		append(sessionRangeArgs(session, start, end), clickhouse.Named("limit", int64(limit)))...)
	return first.Timestamp, more, err
}

// ReceivedPageEnd returns the last place of a page of at most limit points that arrived in receipts,
// and false when all of them fit. A page has fewer points where a mark added a row to one of them.
func (db *PointTable) ReceivedPageEnd(ctx context.Context, session ID, start, end int64, receipts Receipts, limit int) (Receipt, bool, error) {
	return db.boundary(withSettings(ctx, sorting), "SELECT received_at, timestamp"+sessionRange+receiptRange+`
  ORDER BY received_at, timestamp LIMIT {limit:Int64}, 1`,
		append(append(sessionRangeArgs(session, start, end), receiptArgs(receipts)...), clickhouse.Named("limit", int64(limit-1)))...)
}

// boundary runs a query for one pair of a received_at and a timestamp, or none.
func (db *PointTable) boundary(ctx context.Context, query string, args ...any) (at Receipt, found bool, err error) {
	var received, stamp proto.ColDateTime64
	received.WithPrecision(proto.PrecisionMilli)
	stamp.WithPrecision(proto.PrecisionMilli)
	native, err := db.queryNative(ctx, proto.Results{{Name: "received_at", Data: &received}, {Name: "timestamp", Data: &stamp}}, query, args...)
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
		newest, found, err := db.boundary(ctx, `SELECT received_at, received_at AS timestamp FROM session_by_device_data_points
WHERE received_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') ORDER BY received_at DESC LIMIT 1`,
			clickhouse.Named("since", storableTime(since)))
		if err != nil || found {
			return newest.ReceivedAt, err
		}
	}
	return 0, nil
}
