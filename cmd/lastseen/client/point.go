package client

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
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
	dst = p.Timestamp.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
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

// Position is what this program reads of a data point.
type Position struct {
	Timestamp           time.Time
	Latitude, Longitude float64 // degrees
}

// LastSeen returns the newest position of a session, and false when it has none.
func (c *Client) LastSeen(ctx context.Context, sessionID string) (Position, bool, error) {
	var point *struct {
		Timestamp time.Time `json:"timestamp"`
		Location  struct {
			Geometry struct {
				Coordinates []float64 `json:"coordinates"`
			} `json:"geometry"`
		} `json:"location"`
	}
	err := c.Get(ctx, "/tracking/timeseries/session_by_device/last_seen/v1", url.Values{"session_id": {sessionID}}, &point)
	if err != nil {
		return Position{}, false, fmt.Errorf("ask where session %s was last seen: %w", sessionID, err)
	}
	if point == nil {
		return Position{}, false, nil
	}
	coordinates := point.Location.Geometry.Coordinates
	if len(coordinates) < 2 {
		return Position{}, false, fmt.Errorf("ask where session %s was last seen: %w", sessionID, errAnswer)
	}
	return Position{Timestamp: point.Timestamp, Latitude: coordinates[1], Longitude: coordinates[0]}, true, nil
}
