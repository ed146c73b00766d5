// Package postgres is last_seen from PostgreSQL, behind the HTTP library that lastseen uses.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/valyala/fasthttp"

	"lastseen/bench/baseline"
	"lastseen/bench/dataset"
	"lastseen/query/wire"
	"lastseen/schema"
)

// Service answers last_seen from PostgreSQL with the index that one would give it. It checks no
// key, which is in its favour, and encodes with lastseen's own encoder. It is safe for concurrent use.
type Service struct {
	pool *pgxpool.Pool
}

var postgresColumns = []string{"session_id", "timestamp", "received_at", "latitude", "longitude", "altitude", "accuracy", "speed", "heading", "temperature", "battery", "outlier"}

// Open connects, and makes and fills the table. The caller closes the service.
func Open(ctx context.Context, config baseline.Config) (*Service, error) {
	options, err := pgxpool.ParseConfig(config.PostgresURL)
	if err != nil {
		return nil, fmt.Errorf("read the address of PostgreSQL: %w", err)
	}
	options.MaxConns = int32(max(8, 4*runtime.NumCPU()))
	pool, err := pgxpool.NewWithConfig(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	p := &Service{pool}
	load := p.load
	if config.Dataset.Described {
		load = p.loadSessions
	}
	if err := load(ctx, config.Dataset); err != nil {
		pool.Close()
		return nil, fmt.Errorf("load PostgreSQL: %w", err)
	}
	return p, nil
}

func (p *Service) load(ctx context.Context, s dataset.Spec) error {
	if _, err := p.pool.Exec(ctx, createPoints); err != nil {
		return err
	}
	_, err := p.pool.CopyFrom(ctx, pgx.Identifier{"points"}, postgresColumns,
		pgx.CopyFromSlice(s.Sessions*s.PointsPerSession, func(i int) ([]any, error) {
			var q schema.DataPoint
			s.Point(i/s.PointsPerSession, i%s.PointsPerSession, &q)
			return postgresRow(&q), nil
		}))
	if err != nil {
		return err
	}
	for _, statement := range finishPoints {
		if _, err := p.pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the connections.
func (p *Service) Close() { p.pool.Close() }

var answerBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Handle answers as last_seen every path but /readyz and, of a data set that is described, those of lists and typeahead.
func (p *Service) Handle(c *fasthttp.RequestCtx) {
	switch path := string(c.Path()); path {
	case "/readyz":
		return
	case baseline.PathList, baseline.PathTypeahead:
		p.handleSessions(c, path == baseline.PathList)
		return
	}
	id, ok := schema.ParseID(c.QueryArgs().Peek("session_id"))
	if !ok {
		c.SetStatusCode(fasthttp.StatusNotFound)
		return
	}
	point := schema.DataPoint{SessionID: id}
	err := p.newest(&point)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		c.SetStatusCode(fasthttp.StatusNotFound)
	case err != nil:
		c.Error(err.Error(), fasthttp.StatusInternalServerError)
	default:
		buffer := answerBuffers.Get().(*[]byte)
		*buffer = wire.AppendDataPoint((*buffer)[:0], &point)
		c.SetContentType("application/json")
		c.SetBody(*buffer) // which copies
		answerBuffers.Put(buffer)
	}
}

// newest reads the newest point of q's session into q.
func (p *Service) newest(q *schema.DataPoint) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var timestamp, received time.Time
	var accuracy, speed, heading, battery int32
	var outlier bool
	err := p.pool.QueryRow(ctx, `SELECT timestamp, received_at, latitude, longitude, altitude, accuracy, speed, heading, temperature, battery, outlier
FROM points WHERE session_id = $1 ORDER BY timestamp DESC LIMIT 1`, q.SessionID.String()).Scan(&timestamp, &received, &q.Latitude, &q.Longitude,
		&q.Altitude, &accuracy, &speed, &heading, &q.Temperature, &battery, &outlier)
	if err != nil {
		return err
	}
	q.Timestamp, q.ReceivedAt = timestamp.UnixMilli(), received.UnixMilli()
	q.Accuracy, q.Speed, q.Heading, q.Battery = uint32(accuracy), uint16(speed), uint16(heading), uint16(battery)
	if outlier {
		q.Outlier = schema.OutlierByUser
	}
	return nil
}
