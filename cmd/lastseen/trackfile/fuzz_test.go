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

// Each format has a target of its own. fuzz checks of any input that what is read is a fix that can be
// sent, that places never go back, that reading ends with its first error, and that the fix written as
// NDJSON reads as the same fix.
func fuzz(f *testing.F, format trackfile.Format, seeds ...string) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		last := trackfile.Place{}
		ended := false
		for fix, err := range trackfile.Read(strings.NewReader(text), "name", trackfile.Options{Format: format, TimeZone: time.UTC}) {
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

func FuzzCSV(f *testing.F) {
	fuzz(f, trackfile.CSV, "ts,lat,lon,alt\n1768469400,1,2,3\n\"2026-01-15 09:30:00\",1,2,\n", "1;2\n", "sep=|\ntime|lat|lon\n",
		"date,time,lat,lon\n2026-01-15,09:30:00,50.1N,8.1W\n", "time,lat,lon,elevation,accuracy,bearing,speed,satellites,provider,battery\n1,2,3,4,5,6,7,8,9,10\n")
}

func FuzzNDJSON(f *testing.F) {
	fuzz(f, trackfile.NDJSON, `{"device":"d","ts":1768469400000,"lat":"1","lon":2,"speed":null,"battery":0.5}`+"\n",
		`{"_type":"location","tst":1768469400,"lat":1,"lon":2,"topic":"owntracks/a/b"}`+"\n")
}

func FuzzJSON(f *testing.F) {
	fuzz(f, trackfile.JSON, `[{"ts":1,"lat":1,"lon":2},`+"\n3]", `{"points":[{"ts":1,"lat":1,"lon":2}]}`, `{"points":{"a":[1]},"ts":1,"lat":1,"lon":2}`,
		`{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[2.5,1.5,30]},"properties":{"ts":1}}]}`,
		`{"type":"Feature","properties":{"times":[1,2]},"geometry":{"type":"LineString","coordinates":[[2.5,1.5],[2]]}}`)
}

func FuzzTakeout(f *testing.F) {
	fuzz(f, trackfile.JSON, `{"locations":[{"latitudeE7":501234567,"longitudeE7":-81234567,"timestampMs":"1768469400123","velocity":3}]}`)
}

func FuzzTimeline(f *testing.F) {
	fuzz(f, trackfile.JSON, `{"semanticSegments":[{"startTime":"2026-01-15T10:00:00Z","timelinePath":[{"point":"50.1°, 8.1°","time":"2026-01-15T10:30:00Z"}]}]}`,
		`[{"startTime":"2026-01-15T10:00:00Z","timelinePath":[{"point":"geo:50.1,8.1","durationMinutesOffsetFromStartTime":"30"}]}]`,
		`{"rawSignals":[{"position":{"LatLng":"50.3°, 8.3°","accuracyMeters":20,"timestamp":"2026-01-15T09:32:00Z"}}]}`)
}

func FuzzOwnTracks(f *testing.F) {
	fuzz(f, trackfile.OwnTracks, "2026-01-15T09:30:00Z\t*\t"+`{"_type":"location","tst":1768469400,"lat":1,"lon":2,"acc":0,"batt":76}`+"\n")
}

func FuzzGPX(f *testing.F) { fuzz(f, trackfile.GPX, gpxText) }

func FuzzKML(f *testing.F) {
	fuzz(f, trackfile.KML, `<kml><Placemark><name>Van</name><gx:Track><when>2026-01-15T09:30:00Z</when><gx:coord>2 1 30</gx:coord></gx:Track></Placemark>
<Placemark><TimeStamp><when>2026-01-15T09:30:02Z</when></TimeStamp><Point><coordinates>2,1,3</coordinates></Point></Placemark></kml>`)
}

func FuzzTCX(f *testing.F) {
	fuzz(f, trackfile.TCX, `<TrainingCenterDatabase><Trackpoint><Time>2026-01-15T09:30:00.000Z</Time><Position><LatitudeDegrees>1</LatitudeDegrees><LongitudeDegrees>2</LongitudeDegrees></Position></Trackpoint></TrainingCenterDatabase>`)
}

func FuzzNMEA(f *testing.F) { fuzz(f, trackfile.NMEA, nmeaText) }

func FuzzPLT(f *testing.F) {
	fuzz(f, trackfile.PLT, "Geolife trajectory\nWGS 84\nAltitude is in Feet\nReserved 3\n0,2,255,My Track,0,0,2,8421376\n0\n39.9,116.3,0,492,39744.1201851852,2008-10-23,02:53:04\n")
}

func FuzzFIT(f *testing.F) { fuzz(f, trackfile.FIT, fitText(f)) }

// FuzzAny lets the file say itself what it is.
func FuzzAny(f *testing.F) {
	fuzz(f, trackfile.Auto, gpxText, nmeaText, "\xff\xfea\x00", "\x1f\x8b\x08", "\x28\xb5\x2f\xfd\x04\x58\x69\x00\x00time,lat,lon\n\x50\xf5\xf6\xcf", "PK\x03\x04",
		`<?xml version="1.0" encoding="ISO-8859-1"?><gpx><trk><name>`+"\xe4"+`</name></trk></gpx>`)
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
