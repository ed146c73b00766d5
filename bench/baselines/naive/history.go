package naive

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/valyala/fasthttp"

	"lastseen/bench/baseline"
	"lastseen/schema"
)

// rangeArgs binds the parameters session, start and end (Unix milliseconds) of a request.
func rangeArgs(c *fasthttp.RequestCtx) []any {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(string(c.QueryArgs().Peek(name)), 10, 64) // the suite's own requests
		return n
	}
	return []any{
		clickhouse.Named("session", string(c.QueryArgs().Peek("session"))),
		clickhouse.Named("start", number("start")), clickhouse.Named("end", number("end")),
	}
}

// stream answers with what write writes. A failure cuts the connection.
func stream(cancel context.CancelFunc, c *fasthttp.RequestCtx, write func(*bufio.Writer) error) {
	c.SetContentType("application/json")
	c.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer cancel()
		if err := write(w); err != nil {
			panic(fmt.Sprintf("stream a history: %v", err)) // a yardstick that breaks must not pass for a fast one
		}
	})
}

// streamEngine passes on what ClickHouse itself writes as JSON.
func (n *Service) streamEngine(ctx context.Context, cancel context.CancelFunc, c *fasthttp.RequestCtx) {
	statement, args := baseline.SelectRange, rangeArgs(c)
	if org := string(c.QueryArgs().Peek("org")); org != "" {
		statement, args = baseline.SelectAll, []any{clickhouse.Named("org", org)}
		if c.QueryArgs().Has("by_arrival") {
			statement += baseline.ByArrival
		}
	}
	stream(cancel, c, func(w *bufio.Writer) error {
		body, err := n.conn.QueryFormat(ctx, "JSONEachRow", statement, args...)
		if err != nil {
			return err
		}
		defer body.Close()
		_, err = io.Copy(w, body)
		return err
	})
}

// streamScan scans every row into a struct and encodes it with encoding/json.
func (n *Service) streamScan(ctx context.Context, cancel context.CancelFunc, c *fasthttp.RequestCtx) {
	args := rangeArgs(c)
	stream(cancel, c, func(w *bufio.Writer) error {
		rows, err := n.conn.Query(ctx, baseline.SelectRange, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		encoder := json.NewEncoder(w)
		for rows.Next() {
			var r row
			if err := rows.ScanStruct(&r); err != nil {
				return err
			}
			if err := encoder.Encode(r.point()); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// timeQuery answers with how many nanoseconds the engine took to hand out the rows of a range.
func (n *Service) timeQuery(ctx context.Context, c *fasthttp.RequestCtx) error {
	session, _ := schema.ParseID(string(c.QueryArgs().Peek("session")))
	began := time.Now()
	body, err := n.conn.QueryFormat(ctx, "Native", baseline.SelectRange, rangeArgs(c)...)
	if err != nil {
		return fmt.Errorf("query the range of session %v: %w", session, err)
	}
	read, err := io.Copy(io.Discard, body)
	if err != nil {
		return fmt.Errorf("read the range of session %v: %w", session, err)
	}
	if err := body.Close(); err != nil {
		return err
	}
	return json.NewEncoder(c).Encode(map[string]int64{"nanoseconds": time.Since(began).Nanoseconds(), "bytes": read})
}
