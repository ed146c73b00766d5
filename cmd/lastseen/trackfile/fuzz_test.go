package trackfile_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/cmd/lastseen/trackfile"
)

// FuzzRead checks of any input in any format that what is read is a fix that can be sent, that places
// never go back, and that the fix written as NDJSON reads as the same fix.
func FuzzRead(f *testing.F) {
	for _, format := range []trackfile.Format{trackfile.CSV, trackfile.NDJSON, trackfile.JSON, trackfile.GPX, trackfile.GeoJSON} {
		for _, text := range []string{
			"ts,lat,lon,alt\n1768469400,1,2,3\n\"2026-01-15 09:30:00\",1,2,\n", "1;2\n",
			`{"device":"d","ts":1768469400000,"lat":"1","lon":2,"speed":null,"battery":0.5}` + "\n", `[{"ts":1,"lat":1,"lon":2},` + "\n3]",
			gpxText, `{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[2.5,1.5,30]},"properties":{"ts":1}}]}`,
			`{"type":"Feature","properties":{"times":[1,2]},"geometry":{"type":"LineString","coordinates":[[2.5,1.5],[2]]}}`,
		} {
			f.Add(string(format), text)
		}
	}
	f.Fuzz(func(t *testing.T, format, text string) {
		last := trackfile.Place{}
		ended := false
		for fix, err := range trackfile.Read(strings.NewReader(text), "name", trackfile.Options{Format: trackfile.Format(format)}) {
			if ended {
				t.Fatalf("yielded %v after the error that ends reading", err)
			}
			var row *trackfile.RowError
			place := fix.Place
			if errors.As(err, &row) {
				place = row.Place
			} else if err != nil {
				ended = true
				continue
			}
			if place.Line < last.Line || place.Line < 1 {
				t.Fatalf("line %v comes after %v", place, last)
			}
			last = place
			if err == nil {
				checkFix(t, fix)
			}
		}
	})
}

func checkFix(t *testing.T, fix trackfile.Fix) {
	t.Helper()
	object := map[string]any{
		"device": fix.Device, "session_id": fix.Session, "latitude": fix.Latitude, "longitude": fix.Longitude,
		"timestamp": time.UnixMilli(fix.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z07:00"),
	}
	for name, value := range map[string]float64{
		"altitude": fix.Altitude, "accuracy": fix.Accuracy, "speed": fix.Speed,
		"heading": fix.Heading, "temperature": fix.Temperature, "battery": fix.Battery,
	} {
		if !math.IsNaN(value) {
			object[name] = value
		}
	}
	line, err := json.Marshal(object) // refuses numbers that JSON cannot hold
	if err != nil {
		t.Fatalf("the fix %+v cannot be sent: %v", fix, err)
	}
	again, rows, err := readAll(string(line), "name.ndjson", trackfile.Options{})
	if err != nil || len(rows) > 0 || len(again) != 1 {
		t.Fatalf("%s reads as %d fixes, %q, %v", line, len(again), rows, err)
	}
	fix.Place = again[0].Place
	// JSON has no way to write the bytes of a name that is not UTF-8.
	fix.Device, fix.Session = strings.ToValidUTF8(fix.Device, "�"), strings.ToValidUTF8(fix.Session, "�")
	if len(fix.Device) == len(again[0].Device) && len(fix.Session) == len(again[0].Session) {
		if diff := cmp.Diff(fix, again[0], approximates); diff != "" {
			t.Fatalf("the fix changed on its way through NDJSON (-want +got):\n%s", diff)
		}
	}
}
