package naive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/bench/baseline"
	"lastseen/schema"
)

// timeInserts inserts batches of a number of rows, one after another, for a number of milliseconds,
// as the documentation of clickhouse-go shows it. Making the rows up is not timed.
func (n *Service) timeInserts(ctx context.Context, c *fasthttp.RequestCtx) error {
	size := c.QueryArgs().GetUintOrZero("batch")
	limit := time.Duration(c.QueryArgs().GetUintOrZero("milliseconds")) * time.Millisecond
	if size == 0 || limit == 0 {
		return errors.New("the yardstick needs batch and milliseconds")
	}
	rows := rowMaker{n: n, number: c.QueryArgs().GetUintOrZero("first")}
	var took []time.Duration
	var total time.Duration
	for total < limit {
		batch := rows.next(size)
		at := time.Now()
		if err := n.insert(ctx, batch); err != nil {
			return err
		}
		took = append(took, time.Since(at))
		total += took[len(took)-1]
	}
	result := baseline.Inserted{Rows: len(took) * size, Seconds: total.Seconds()}
	slices.Sort(took)
	result.P50, result.P99 = took[len(took)/2].Nanoseconds(), took[len(took)*99/100].Nanoseconds()
	return json.NewEncoder(c).Encode(result)
}

// insert writes one batch.
func (n *Service) insert(ctx context.Context, rows []insertedRow) error {
	batch, err := n.conn.PrepareBatch(ctx, "INSERT INTO session_by_device_data_points ("+baseline.Columns+", org_id, device_id)")
	if err != nil {
		return fmt.Errorf("prepare a batch: %w", err)
	}
	for i := range rows {
		r := &rows[i]
		err := batch.Append(r.SessionID, r.Timestamp, r.ReceivedAt, r.Latitude, r.Longitude, r.Altitude, r.Accuracy, r.Speed, r.Heading,
			r.Temperature, r.Battery, r.Outlier, r.Version, r.org, r.device)
		if err != nil {
			return fmt.Errorf("append a row: %w", err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("send a batch: %w", err)
	}
	return nil
}

// insertedRow is a row as a program has it before it inserts it.
type insertedRow struct {
	row
	org, device string
}

// rowMaker makes the data set's points up beyond those that were loaded, session by session.
type rowMaker struct {
	n               *Service
	session, number int
	rows            []insertedRow
}

// next returns rows that live until the next call.
func (m *rowMaker) next(size int) []insertedRow {
	m.rows = m.rows[:0]
	for range size {
		var p schema.OwnedPoint
		m.n.dataset.OwnedPoint(m.session, m.number, &p)
		m.rows = append(m.rows, insertedRow{row{
			p.SessionID.String(), time.UnixMilli(p.Timestamp).UTC(), time.UnixMilli(p.ReceivedAt).UTC(), p.Latitude, p.Longitude, p.Altitude,
			p.Accuracy, p.Speed, p.Heading, p.Temperature, p.Battery, uint8(p.Outlier), p.Version,
		}, p.OrgID, p.DeviceID.String()})
		if m.session++; m.session == m.n.dataset.Sessions {
			m.session, m.number = 0, m.number+1
		}
	}
	return m.rows
}
