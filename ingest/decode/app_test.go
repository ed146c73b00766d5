package decode

import (
	"net/url"
	"testing"
	"time"
)

// FuzzApps checks of any message to any app's route that it is read or refused, that no position outside of
// the Earth or of the values' ranges comes out of it, and that reading it again gives the same.
func FuzzApps(f *testing.F) {
	for _, app := range []App{OwnTracks, Overland, OsmAnd, TraccarClient, GPSLogger, Traccar} {
		for _, seed := range []struct{ query, body string }{
			{"id=van7&lat=48.1&lon=11.5&timestamp=1777629600&speed=23.2&bearing=274&altitude=519.2&accuracy=4.7&batt=83", ""},
			{"location=1,2&time=2026-05-01T10%253A00%253A00Z&id=x", ""},
			{"", `{"_type":"location","lat":48.1,"lon":11.5,"tst":1777629600,"acc":14,"batt":76,"topic":"owntracks/anna/van7","vel":43}`},
			{"", `{"locations":[{"geometry":{"type":"Point","coordinates":[11.5,48.1]},"properties":{"timestamp":"2026-05-01T10:00:00Z","speed":-1,"device_id":"van7"}}],"current":null}`},
			{"", `{"location":{"timestamp":"2026-05-01T10:00:00.587Z","coords":{"latitude":48.1,"longitude":11.5,"speed":11.9},"battery":{"level":0.8}},"device_id":"8"}`},
			{"", `{"position":{"fixTime":"2026-05-01T10:00:00.000+00:00","valid":true,"latitude":48.1,"longitude":11.5,"speed":23.2,"attributes":{"batteryLevel":83}},"device":{"uniqueId":"3596"}}`},
			{"", `{"points":[{"device_mac_address":"x","timestamp":"2026-05-01T10%3A00%3A00.123Z","latitude":48.1,"longitude":11.5}]}`},
		} {
			f.Add(string(app), seed.query, seed.body)
		}
	}
	now := time.Date(2026, 5, 1, 11, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, app, query, body string) {
		if _, known := readers[App(app)]; !known {
			return
		}
		parameters, _ := url.ParseQuery(query)
		read := func() (points []Point, rejected int, failed bool) {
			batch, _, err := AppMessage(App(app), &Message{Body: []byte(body), Parameter: parameters.Get, Now: now}, nil)
			if err != nil {
				return nil, 0, true
			}
			defer batch.Release()
			return append(points, batch.Points...), len(batch.rejected), false
		}
		points, rejected, failed := read()
		for i := range points {
			p := &points[i]
			if p.Latitude < -90e7 || p.Latitude > 90e7 || p.Longitude < -180e7 || p.Longitude > 180e7 || p.Timestamp < earliestTimestamp ||
				p.Heading >= 3600 && p.Heading != 65535 || p.Speed > 65000 && p.Speed != 65535 || p.Battery > 10000 && p.Battery != 65535 {
				t.Fatalf("the point is %+v", p)
			}
		}
		if again, rejectedAgain, failedAgain := read(); len(again) != len(points) || rejectedAgain != rejected || failedAgain != failed {
			t.Fatalf("read again: %d points and %d rejections, first %d and %d", len(again), rejectedAgain, len(points), rejected)
		}
	})
}
