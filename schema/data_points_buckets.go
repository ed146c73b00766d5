package schema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// ReadBuckets streams, in ascending time, the newest non-outlier point of each bucket of the range.
// Buckets are bucketSeconds long and aligned to the Unix epoch.
func (db *PointTable) ReadBuckets(ctx context.Context, session ID, start, end int64, bucketSeconds int) (*PointReader, error) {
	list := allColumns.selectList()
	query := bucketSelect(list, folded(list))
	args := append(sessionRangeArgs(session, start, end), bucketArg(bucketSeconds))
	reader, err := db.readSession(withSettings(ctx, db.streaming()), allColumns, session, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the buckets of a session: %w", err)
	}
	return reader, nil
}

// BucketPageEnd is PageEnd for buckets: it returns the beginning of the first bucket that has a
// non-outlier point and does not fit. It reads no further than the page.
func (db *PointTable) BucketPageEnd(ctx context.Context, session ID, start, end int64, bucketSeconds, limit int) (int64, bool, error) {
	first, more, err := db.boundary(withSettings(ctx, db.streaming()), `SELECT timestamp AS received_at, '' AS session_id, timestamp FROM (
  SELECT timestamp, `+bucketOf+` AS bucket, lagInFrame(bucket, 1, `+noBucket+`) OVER (ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS bucket_before
  FROM `+folded("timestamp, outlier")+` WHERE outlier = 0
) WHERE bucket != bucket_before LIMIT {limit:Int64}, 1`,
		append(sessionRangeArgs(session, start, end), bucketArg(bucketSeconds), clickhouse.Named("limit", int64(limit)))...)
	return BucketStart(first.Timestamp, bucketSeconds), more, err
}

// BucketStart returns when the bucket begins that a timestamp belongs to (both Unix milliseconds, not before
// 1970); buckets are those of ReadBuckets.
func BucketStart(timestamp int64, bucketSeconds int) int64 {
	return timestamp - timestamp%(int64(bucketSeconds)*1000)
}

// bucketSelect selects columns of the rows of a subquery, those of one bucket the last that is not an
// outlier. The rows must come folded, in ascending time, from one thread.
//
// It compares each row with the next, so that ClickHouse holds a block at a time: LIMIT BY, which keeps the
// first of a bucket, would need the rows in descending time and a set of all the timestamps, 1.5 GB for
// 10,000,000 points. The window has no ORDER BY since that would sort, and hold, what is sorted.
func bucketSelect(columns, rows string) string {
	return "SELECT " + columns + ` FROM (
  SELECT *, ` + bucketOf + ` AS bucket, leadInFrame(bucket, 1, ` + noBucket + `) OVER (ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS next_bucket
  FROM ` + rows + ` WHERE outlier = 0
) WHERE bucket != next_bucket`
}

// bucketOf is the number of the bucket that a row belongs to, and noBucket that of none.
const (
	bucketOf = "intDiv(toUnixTimestamp64Milli(timestamp), {bucket:Int64})"
	noBucket = "-9223372036854775808"
)

// bucketArg binds the length of bucketSelect's buckets.
func bucketArg(seconds int) any {
	return clickhouse.Named("bucket", int64(seconds)*1000)
}
