package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Point is one position of a session, to be sent. The optional values are NaN when they are not known.
type Point struct {
	SessionID           string
	Timestamp           time.Time // sent in milliseconds
	Latitude, Longitude float64   // degrees

	Altitude    float64 // metres
	Accuracy    float64 // metres
	Speed       float64 // metres a second
	Heading     float64 // degrees
	Temperature float64 // degrees Celsius
	Battery     float64 // 0 to 1
}

// AppendPoint appends a point as a line for Ingest. Numbers must not be infinite.
func AppendPoint(dst []byte, p Point) []byte {
	session, err := json.Marshal(p.SessionID)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	dst = append(append(dst, `{"session_id":`...), session...)
	dst = append(dst, `,"timestamp":"`...)
	dst = p.Timestamp.UTC().AppendFormat(dst, instant)
	dst = append(dst, '"')
	for _, f := range [...]struct {
		name  string
		value float64
	}{
		{"latitude", p.Latitude}, {"longitude", p.Longitude}, {"altitude", p.Altitude}, {"accuracy", p.Accuracy},
		{"speed", p.Speed}, {"heading", p.Heading}, {"temperature", p.Temperature}, {"battery", p.Battery},
	} {
		if math.IsNaN(f.value) {
			continue
		}
		dst = append(append(append(dst, `,"`...), f.name...), `":`...)
		dst = strconv.AppendFloat(dst, f.value, 'g', -1, 64)
	}
	return append(dst, '}', '\n')
}

// IngestResult is what became of a batch of points.
type IngestResult struct {
	Accepted int `json:"accepted"`
	Replaced int `json:"replaced"`       // accepted ones that took the place of another of their session and timestamp
	Dropped  int `json:"dropped_values"` // optional values that were left out
	Rejected []struct {
		Index  int    `json:"index"`
		Detail string `json:"detail"`
	} `json:"rejected"`
}

// Ingest sends points, one JSON object a line, compressed. Sending them again changes nothing, so it
// is repeated also when the connection breaks.
func (c *Client) Ingest(ctx context.Context, ndjson []byte) (IngestResult, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write(ndjson)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return IngestResult{}, fmt.Errorf("compress points: %w", err)
	}
	return c.IngestCompressed(ctx, packed.Bytes(), "gzip")
}

// IngestCompressed is Ingest of lines that are compressed already, as gzip or zstd.
func (c *Client) IngestCompressed(ctx context.Context, packed []byte, coding string) (result IngestResult, err error) {
	err = c.do(ctx, request{
		method: http.MethodPost, path: "/tracking/timeseries/session_by_device/ingest/v1", body: packed, repeatable: true,
		sent: map[string]string{"Content-Type": "application/x-ndjson", "Content-Encoding": coding},
	}, &result)
	if err != nil {
		return IngestResult{}, fmt.Errorf("send points: %w", err)
	}
	return result, nil
}
