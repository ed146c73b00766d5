package postgres

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lastseen/bench/baseline"
	"lastseen/schema"
)

// Measure writes points to a table of its own in a PostgreSQL, with the index for last_seen, and adds what
// they take to sizes. It reads the points to their end and returns how many they were.
func Measure(ctx context.Context, address string, points *schema.PointReader, sizes *baseline.Sizes) (count int64, err error) {
	pool, err := pgxpool.New(ctx, address)
	if err != nil {
		return 0, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, createPoints); err != nil {
		return 0, fmt.Errorf("make the table in PostgreSQL: %w", err)
	}
	count, err = pool.CopyFrom(ctx, pgx.Identifier{"points"}, postgresColumns, pgx.CopyFromFunc(func() ([]any, error) {
		if !points.Next() {
			return nil, points.Err()
		}
		return postgresRow(points.Point()), nil
	}))
	if err != nil {
		return 0, fmt.Errorf("copy points to PostgreSQL: %w", err)
	}
	for _, statement := range finishPoints {
		if _, err := pool.Exec(ctx, statement); err != nil {
			return 0, fmt.Errorf("finish the table in PostgreSQL: %w", err)
		}
	}
	err = pool.QueryRow(ctx, "SELECT pg_table_size('points'), pg_indexes_size('points')").Scan(&sizes.PostgresTable, &sizes.PostgresIndex)
	if err != nil {
		return 0, fmt.Errorf("ask PostgreSQL for the size of the table: %w", err)
	}
	return count, nil
}

// createPoints makes the table afresh, and finishPoints are what it needs when it is full.
const createPoints = `DROP TABLE IF EXISTS points; CREATE TABLE points (session_id text NOT NULL, timestamp timestamptz NOT NULL,
  received_at timestamptz NOT NULL, latitude int NOT NULL, longitude int NOT NULL, altitude int, accuracy int, speed int, heading int,
  temperature real, battery int, outlier bool NOT NULL)`

var finishPoints = []string{"CREATE INDEX ON points (session_id, timestamp DESC)", "VACUUM ANALYZE points"}

// postgresRow is a point as a row of the table; what is unknown is NULL.
func postgresRow(p *schema.DataPoint) []any {
	row := []any{
		p.SessionID.String(), time.UnixMilli(p.Timestamp), time.UnixMilli(p.ReceivedAt), p.Latitude, p.Longitude,
		nil, nil, nil, nil, nil, nil, p.Outlier != schema.NotOutlier,
	}
	if p.Altitude != schema.NoAltitude {
		row[5] = p.Altitude
	}
	if p.Accuracy != schema.NoAccuracy {
		row[6] = int32(min(p.Accuracy, math.MaxInt32))
	}
	if p.Speed != schema.NoSpeed {
		row[7] = int32(p.Speed)
	}
	if p.Heading != schema.NoHeading {
		row[8] = int32(p.Heading)
	}
	if p.Temperature == p.Temperature { // not NaN
		row[9] = p.Temperature
	}
	if p.Battery != schema.NoBattery {
		row[10] = int32(p.Battery)
	}
	return row
}
