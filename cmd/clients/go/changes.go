package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

const changesPath = "/tracking/timeseries/session_by_device/last_seen_changes/v1"

// Changes are the newest points of all sessions of an organisation, or those that have changed since a cursor.
type Changes struct {
	Points []DataPoint `json:"data_points"` // each takes the place of the earlier one of its session
	Gone   []string    `json:"gone"`        // sessions to forget
	Reset  bool        `json:"reset"`       // the cursor was too old: forget all that is not in what follows
	Cursor string      `json:"next_cursor"` // where to go on, now or next week
	More   bool        `json:"more"`        // there is more now
}

// Changes returns the newest point of every session and then what changes, for as long as the loop asks and until ctx ends.
// It begins at a cursor, or anew with an empty one. Whoever keeps the Cursor of what was handled goes on from there, also
// after a restart. It ends after an error, which is the last pair's.
func (c *Client) Changes(ctx context.Context, cursor string) iter.Seq2[Changes, error] {
	return func(yield func(Changes, error) bool) {
		for {
			changes, err := c.ChangesSince(ctx, cursor, MaxWait)
			if err != nil {
				yield(Changes{}, err)
				return
			}
			cursor = changes.Cursor
			if changes.empty() {
				continue
			}
			if !yield(changes, nil) {
				return
			}
		}
	}
}

func (c *Changes) empty() bool { return len(c.Points) == 0 && len(c.Gone) == 0 && !c.Reset }

// ChangesSince makes one request of Changes: what has changed since a cursor, or everything where that is empty. Where there is
// nothing the server is asked to wait for it, MaxWait at most.
func (c *Client) ChangesSince(ctx context.Context, cursor string, wait time.Duration) (changes Changes, err error) {
	asked := request{method: http.MethodGet, path: changesPath, query: url.Values{}, repeatable: true}
	if cursor != "" {
		asked.query.Set("cursor", cursor)
		asked.waitFor(wait)
	}
	if err := c.do(ctx, asked, &changes); err != nil {
		return Changes{}, fmt.Errorf("ask what has changed: %w", err)
	}
	return changes, nil
}
