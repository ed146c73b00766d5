package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// historyPage is how many points one answer of a history has at most, and feedPage of a feed.
const (
	historyPage = 100_000
	feedPage    = 10_000
)

// DataPoints streams the points of a session from a time on and before another, in ascending order, outliers included. It takes
// as much memory as one point, whatever the range, and goes on after the last point when an answer was cut. It ends after an
// error, which is the last pair's.
func (c *Client) DataPoints(ctx context.Context, sessionID string, start, end time.Time) iter.Seq2[DataPoint, error] {
	return func(yield func(DataPoint, error) bool) {
		h := &history{client: c, yield: yield, query: url.Values{
			"session_id": {sessionID}, "start_timestamp": {start.UTC().Format(instant)}, "end_timestamp": {end.UTC().Format(instant)},
			"format": {"ndjson"}, "limit": {strconv.Itoa(historyPage)},
		}}
		for {
			next, err := h.page(ctx)
			switch {
			case errors.Is(err, errEnough):
				return
			case err != nil:
				yield(DataPoint{}, fmt.Errorf("read the history of session %s: %w", sessionID, err))
				return
			case next == "":
				return
			}
			h.query.Set("cursor", next)
		}
	}
}

// history is a loop over DataPoints.
type history struct {
	client *Client
	query  url.Values
	yield  func(DataPoint, error) bool
	last   time.Time // of the newest point that was yielded
}

// errEnough says that the loop asks for no more.
var errEnough = errors.New("no more is wanted")

// page reads one page, again where it was cut: the points that were yielded already are passed over then.
func (h *history) page(ctx context.Context) (next string, err error) {
	err = h.client.attempt(ctx, func() error {
		next, err = h.once(ctx)
		return err
	}, isWriteError)
	return next, err
}

func (h *history) once(ctx context.Context) (next string, err error) {
	body, answer, err := h.client.open(ctx, HistoryPath, h.query)
	if err != nil {
		return "", err
	}
	defer body.Close()
	points := json.NewDecoder(body)
	for {
		var point DataPoint
		err := points.Decode(&point)
		switch {
		case errors.Is(err, io.EOF):
			return answer.Next, nil
		case body.failed != nil:
			return "", h.client.wasCut(body.failed)
		case err != nil:
			return "", writeError{fmt.Errorf("%w (%w)", ErrAnswer, err)}
		}
		if !point.Timestamp.After(h.last) {
			continue
		}
		if !h.yield(point, nil) {
			return "", writeError{errEnough}
		}
		h.last = point.Timestamp
	}
}

// FeedPage is some of what has arrived, and where to go on.
type FeedPage struct {
	Points []DataPoint `json:"data_points"` // none when this is everything for now
	Cursor string      `json:"next_cursor"`
}

// Feed returns every point of the organisation's sessions by its arrival, a page at a time, for as long as the loop asks and until
// ctx ends. It begins at a cursor, or with the first point where that is empty. Where everything was read it waits for pause, and asks
// again. Keep the Cursor together with what the page's points became, and each arrival counts once. It ends after an error, which is the last pair's.
func (c *Client) Feed(ctx context.Context, cursor string, pause time.Duration) iter.Seq2[FeedPage, error] {
	return func(yield func(FeedPage, error) bool) {
		for {
			page, err := c.FeedSince(ctx, cursor, feedPage)
			if err != nil {
				yield(FeedPage{}, err)
				return
			}
			cursor = page.Cursor
			if len(page.Points) > 0 {
				if !yield(page, nil) {
					return
				}
				continue
			}
			if err := c.wait(ctx, pause); err != nil {
				yield(FeedPage{}, err)
				return
			}
		}
	}
}

// FeedSince makes one request of Feed, for a page of so many points at most.
func (c *Client) FeedSince(ctx context.Context, cursor string, limit int) (page FeedPage, err error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if err := c.do(ctx, request{method: http.MethodGet, path: FeedPath, query: query, repeatable: true}, &page); err != nil {
		return FeedPage{}, fmt.Errorf("read the feed: %w", err)
	}
	return page, nil
}
