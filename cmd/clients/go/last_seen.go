package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// DataPoint is a point as the server gives it. Pointers are nil for what is not known.
type DataPoint struct {
	ID          string    `json:"_id"`
	Timestamp   time.Time `json:"timestamp"`
	ReceivedAt  time.Time `json:"received_at_timestamp"`
	Temperature *float64  `json:"temperature,omitempty"` // degrees Celsius
	Location    Feature   `json:"location"`
	Metadata    struct {
		SessionID       string `json:"session_id"`
		Outlier         bool   `json:"outlier"`
		OutlierLabeller string `json:"outlier_labeller,omitempty"` // user or auto
		OutlierReason   string `json:"outlier_reason,omitempty"`
	} `json:"metadata"`
}

// Feature is where a point is, in GeoJSON.
type Feature struct {
	Geometry struct {
		Coordinates []float64 `json:"coordinates"` // longitude, latitude (degrees) and, where it is known, altitude (metres)
	} `json:"geometry"`
	Properties struct {
		Accuracy *float64 `json:"accuracy,omitempty"` // metres
		Speed    *float64 `json:"speed,omitempty"`    // metres a second
		Heading  *float64 `json:"heading,omitempty"`  // degrees
		Battery  *float64 `json:"battery,omitempty"`  // 0 to 1
	} `json:"properties"`
}

// UnmarshalJSON implements json.Unmarshaler. It refuses a feature without a place.
func (f *Feature) UnmarshalJSON(text []byte) error {
	type plain Feature
	if err := json.Unmarshal(text, (*plain)(f)); err != nil {
		return err
	}
	if len(f.Geometry.Coordinates) < 2 {
		return errors.New("a location without coordinates")
	}
	return nil
}

// Longitude is in degrees.
func (f *Feature) Longitude() float64 { return f.Geometry.Coordinates[0] }

// Latitude is in degrees.
func (f *Feature) Latitude() float64 { return f.Geometry.Coordinates[1] }

const (
	lastSeenPath = "/tracking/timeseries/session_by_device/last_seen/v1"
	batchPath    = "/tracking/timeseries/session_by_device/last_seen_batch/v1"
	// MaxWait is the longest that one request waits for a change; longer waits are made of several.
	MaxWait = time.Minute
	// MaxBatch is the number of sessions that a Batch may have.
	MaxBatch = 1000
)

// LastSeen returns the newest point of a session, and nil when it has none.
func (c *Client) LastSeen(ctx context.Context, sessionID string) (*DataPoint, error) {
	point, _, err := c.Poll(sessionID).Next(ctx, 0)
	return point, err
}

// Poll asks for the newest point of one session again and again, and remembers which it has. It is not safe for concurrent use.
type Poll struct {
	client  *Client
	session string
	tag     string
	point   *DataPoint
}

// Poll returns a Poll of a session that has seen nothing yet.
func (c *Client) Poll(sessionID string) *Poll { return &Poll{client: c, session: sessionID} }

// Next returns the session's newest point, nil where there is none, and whether that is news since the last call. With a wait
// the server is asked to answer only once there is, or when it is over, of at most MaxWait.
func (p *Poll) Next(ctx context.Context, wait time.Duration) (point *DataPoint, changed bool, err error) {
	asked := request{method: http.MethodGet, path: lastSeenPath, query: url.Values{"session_id": {p.session}}, repeatable: true, headers: http.Header{}}
	asked.unlessTagged(p.tag, wait)
	var found *DataPoint
	switch err := p.client.do(ctx, asked, &found); {
	case errors.Is(err, errNotModified):
		return p.point, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("ask where session %s was last seen: %w", p.session, err)
	}
	p.tag, p.point = asked.headers.Get("ETag"), found
	return found, true, nil
}

// unlessTagged asks for an answer that has another tag, for which the server is to wait.
func (r *request) unlessTagged(tag string, wait time.Duration) {
	if tag == "" {
		return
	}
	r.sent = withField(r.sent, "If-None-Match", tag)
	r.waitFor(wait)
}

// waitFor asks the server to wait for a change.
func (r *request) waitFor(wait time.Duration) {
	if seconds := int(min(wait, MaxWait) / time.Second); seconds > 0 {
		r.sent = withField(r.sent, "Prefer", "wait="+strconv.Itoa(seconds))
	}
}

func withField(fields map[string]string, name, value string) map[string]string {
	if fields == nil {
		fields = map[string]string{}
	}
	fields[name] = value
	return fields
}

// Batch asks for the newest points of many sessions in one request, and remembers which it has. It is not safe for concurrent use.
type Batch struct {
	client   *Client
	sessions []string
	tag      string
	newest   Newest
}

// Newest is what a Batch was answered.
type Newest struct {
	Points   []*DataPoint `json:"data_points"` // in the order of the sessions; nil without a point, and for what is not found
	NotFound []string     `json:"not_found"`   // sessions that are not there for the caller
}

// Batch returns a Batch of 1 to MaxBatch sessions that has seen nothing yet.
func (c *Client) Batch(sessionIDs ...string) *Batch { return &Batch{client: c, sessions: sessionIDs} }

// Next returns the newest points, and whether any of them is news since the last call.
func (b *Batch) Next(ctx context.Context) (newest Newest, changed bool, err error) {
	body, err := json.Marshal(map[string][]string{"session_ids": b.sessions})
	if err != nil {
		return Newest{}, false, fmt.Errorf("encode a request: %w", err)
	}
	asked := request{
		method: http.MethodPost, path: batchPath, body: body, sent: map[string]string{"Content-Type": "application/json"}, repeatable: true, headers: http.Header{},
	}
	asked.unlessTagged(b.tag, 0)
	switch err := b.client.do(ctx, asked, &newest); {
	case errors.Is(err, errNotModified):
		return b.newest, false, nil
	case err != nil:
		return Newest{}, false, fmt.Errorf("ask where %d sessions were last seen: %w", len(b.sessions), err)
	}
	b.tag, b.newest = asked.headers.Get("ETag"), newest
	return newest, true, nil
}
