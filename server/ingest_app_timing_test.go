package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lastseen/schema"
)

// BenchmarkIngestOfAnApp compares Overland's batches with lines of the same thousand points. An app's
// route is to take at least 80 % as many points a second.
func BenchmarkIngestOfAnApp(b *testing.B) {
	const points = 1000
	s := start(b)
	credential, _ := s.key("org_a", schema.KindDeviceCredential)
	s.session("org_a", "van7")
	first := time.Now().Add(-20 * 365 * 24 * time.Hour)
	next := 0
	build := func(open, line, between, end string) string {
		var body strings.Builder
		body.WriteString(open)
		for n := range points {
			if n > 0 {
				body.WriteString(between)
			}
			at := first.Add(time.Duration(next+n) * time.Second).UTC().Format(time.RFC3339)
			fmt.Fprintf(&body, line, at, 40+float64(n)/1e4)
		}
		next += points
		return body.String() + end
	}
	// The two take turns, so that whatever else the machine does meets both.
	var lines, batches time.Duration
	timed := func(path, contentType, body string) time.Duration {
		began := time.Now()
		if r := s.do("POST", path, credential, strings.NewReader(body), header{"Content-Type", contentType}); r.StatusCode != 200 {
			b.Fatal(r.Status, string(r.body))
		}
		return time.Since(began)
	}
	for b.Loop() {
		lines += timed(pathIngest, "application/x-ndjson", build("", `{"device_mac_address":"van7","timestamp":%q,"latitude":%.7f,"longitude":11.576124,"altitude":519,"speed":12,"heading":274,"accuracy":5,"battery":0.83}`, "\n", "\n"))
		batches += timed(pathApps+"overland/v1", "application/json", build(`{"locations":[`, `{"type":"Feature","properties":{"timestamp":%q,"altitude":519,"speed":12,"course":274,"horizontal_accuracy":5,"vertical_accuracy":4,"motion":["driving"],"battery_state":"unplugged","battery_level":0.83,"wifi":"","device_id":"van7"},"geometry":{"type":"Point","coordinates":[11.5761240,%.7f]}}`, ",", "]}"))
	}
	b.ReportMetric(points*float64(b.N)/lines.Seconds(), "ndjson-points/s")
	b.ReportMetric(points*float64(b.N)/batches.Seconds(), "overland-points/s")
	b.ReportMetric(100*lines.Seconds()/batches.Seconds(), "%-of-ndjson")
}
