package rival

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/schema"
)

// Inserted is what the loop of plain batch inserts achieved.
type Inserted struct {
	Rows    int
	Seconds float64
	// P50 and P99 are of the time of one insert, from preparing the batch to ClickHouse's answer, nanoseconds.
	P50, P99 int64
}

// timeInserts inserts batches of a number of rows, one after another, for a number of milliseconds,
// as the documentation of clickhouse-go shows it.
func (n *naive) timeInserts(ctx context.Context, c *fasthttp.RequestCtx) error {
	size := c.QueryArgs().GetUintOrZero("batch")
	limit := time.Duration(c.QueryArgs().GetUintOrZero("milliseconds")) * time.Millisecond
	first := c.QueryArgs().GetUintOrZero("first") // the number of the first point of each session
	if size == 0 || limit == 0 {
		return fmt.Errorf("the yardstick needs batch and milliseconds")
	}
	var took []time.Duration
	session, number := 0, first
	began := time.Now()
	for time.Since(began) < limit {
		at := time.Now()
		batch, err := n.conn.PrepareBatch(ctx, "INSERT INTO session_by_device_data_points ("+rowColumns+", org_id, device_id)")
		if err != nil {
			return fmt.Errorf("prepare a batch: %w", err)
		}
		for range size {
			var p schema.OwnedPoint
			n.dataset.OwnedPoint(session, number, &p)
			err := batch.Append(p.SessionID.String(), time.UnixMilli(p.Timestamp).UTC(), time.UnixMilli(p.ReceivedAt).UTC(),
				p.Latitude, p.Longitude, p.Altitude, p.Accuracy, p.Speed, p.Heading, p.Temperature, p.Battery,
				uint8(p.Outlier), p.Version, p.OrgID, p.DeviceID.String())
			if err != nil {
				return fmt.Errorf("append a row: %w", err)
			}
			if session++; session == n.dataset.Sessions {
				session, number = 0, number+1
			}
		}
		if err := batch.Send(); err != nil {
			return fmt.Errorf("send a batch: %w", err)
		}
		took = append(took, time.Since(at))
	}
	result := Inserted{Rows: len(took) * size, Seconds: time.Since(began).Seconds()}
	slices.Sort(took)
	result.P50, result.P99 = took[len(took)/2].Nanoseconds(), took[len(took)*99/100].Nanoseconds()
	return json.NewEncoder(c).Encode(result)
}
