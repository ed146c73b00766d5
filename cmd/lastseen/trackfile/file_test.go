package trackfile_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lastseen/cmd/lastseen/trackfile"
)

// readAll collects what Read yields: fixes, the texts of row errors, and the error that ended it.
func readAll(text, name string, options trackfile.Options) (fixes []trackfile.Fix, rows []string, err error) {
	for fix, e := range trackfile.Read(strings.NewReader(text), name, options) {
		var row *trackfile.RowError
		switch {
		case e == nil:
			fixes = append(fixes, fix)
		case errors.As(e, &row):
			rows = append(rows, row.Error())
		default:
			err = e
		}
	}
	return fixes, rows, err
}

func mapping(t *testing.T, entries ...string) trackfile.Mapping {
	t.Helper()
	m, err := trackfile.ParseMapping(entries)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fix is a Fix with everything optional absent, changed by change.
func fix(line int, device string, ms int64, latitude, longitude float64, change ...func(*trackfile.Fix)) trackfile.Fix {
	nan := math.NaN()
	f := trackfile.Fix{
		Place: trackfile.Place{Line: line}, Device: device, Timestamp: ms, Latitude: latitude, Longitude: longitude,
		Altitude: nan, Accuracy: nan, Speed: nan, Heading: nan, Temperature: nan, Battery: nan,
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

var (
	nine         = time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC).UnixMilli()
	approximates = cmp.Options{cmpopts.EquateNaNs(), cmpopts.EquateApprox(0, 1e-9)}
)

func TestReadUnderstands(t *testing.T) {
	t.Parallel()
	heading := func(h float64) func(*trackfile.Fix) { return func(f *trackfile.Fix) { f.Heading = h } }
	altitude := func(a float64) func(*trackfile.Fix) { return func(f *trackfile.Fix) { f.Altitude = a } }
	speed := func(s float64) func(*trackfile.Fix) { return func(f *trackfile.Fix) { f.Speed = s } }
	part := func(n int) func(*trackfile.Fix) { return func(f *trackfile.Fix) { f.Place.Part = n } }
	for name, test := range map[string]struct {
		file, text string
		options    trackfile.Options
		want       []trackfile.Fix
	}{
		"a CSV with the bus file's columns": {"bus.csv",
			`"id","vehicle_id","trip_id","timestamp","latitude","longitude","bearing","route_name"` + "\n" +
				`1,"4716","1091","2026-01-15 09:30:00",53.44451,-2.925173,,"14"` + "\n" +
				`2,"4720","1091","2026-01-15 09:30:01",53.5,-2.9,71,"14"` + "\n",
			trackfile.Options{TimeZone: time.UTC},
			[]trackfile.Fix{fix(2, "4716", nine, 53.44451, -2.925173), fix(3, "4720", nine+1000, 53.5, -2.9, heading(71))}},
		"semicolons, other names, a byte order mark and Windows line ends": {"x.txt",
			"\xef\xbb\xbfIMEI;Date-Time;Lat;Lng;Course\r\n356938035643809;2026-01-15T10:30:00+01:00;1.5;2.5;360\r\n",
			trackfile.Options{},
			[]trackfile.Fix{fix(2, "356938035643809", nine, 1.5, 2.5, heading(0))}},
		"tabs and no header": {"van 7.tsv", "1768469400\t1.5\t2.5\n",
			trackfile.Options{Mapping: mapping(t, "timestamp=1", "latitude=2", "longitude=3")},
			[]trackfile.Fix{fix(1, "van 7", nine, 1.5, 2.5)}},
		"quoted line ends in a row": {"a.csv", "note,ts,lat,lon\n\"two\nlines\",1768469400000,1,2\nx,1768469401,3,4\n",
			trackfile.Options{Device: "d"},
			[]trackfile.Fix{fix(2, "d", nine, 1, 2), fix(4, "d", nine+1000, 3, 4)}},
		"units that a mapping names": {"a.csv", "when,lat,lon,alt,v\n1768469400123456789,1,2,1000,36\n",
			trackfile.Options{Device: "d", Mapping: mapping(t, "timestamp=when:ns", "altitude=alt:ft", "speed=v:km/h")},
			[]trackfile.Fix{fix(2, "d", nine+123, 1, 2, altitude(304.8), speed(10))}},
		"a field that a mapping leaves alone": {"a.csv", "ts,lat,lon,track\n1768469400,1,2,12\n",
			trackfile.Options{Device: "d", Mapping: mapping(t, "heading=")},
			[]trackfile.Fix{fix(2, "d", nine, 1, 2)}},
		"the better of two columns for one field": {"a.csv", "time,timestamp,lat,lon\n5,1768469400,1,2\n",
			trackfile.Options{Device: "d"}, []trackfile.Fix{fix(2, "d", nine, 1, 2)}},
		"NDJSON with numbers, strings, nulls, empty lines and sessions": {"a.ndjson",
			`{"session_id":"6a1","device":"d","ts":1768469400000,"lat":"1","lon":2,"speed":null,"battery":0.5}` + "\n\n" +
				`{"device":"d","ts":1768469401.5,"lat":1e0,"lon":2,"speed":3}`,
			trackfile.Options{},
			[]trackfile.Fix{
				fix(1, "d", nine, 1, 2, func(f *trackfile.Fix) { f.Session, f.Battery = "6a1", 0.5 }),
				fix(3, "d", nine+1500, 1, 2, speed(3)),
			}},
		"a JSON array over several lines": {"a.json",
			"[\n {\"icao24\":\"3003ae\",\"timestamp\":1768469400000,\n  \"latitude\":1,\"longitude\":2,\"groundspeed\":36},\n {\"icao24\":\"x\",\"timestamp\":1768469400000,\"latitude\":3,\"longitude\":4}]",
			trackfile.Options{Mapping: mapping(t, "speed=groundspeed:kn")},
			[]trackfile.Fix{fix(2, "3003ae", nine, 1, 2, speed(18.52)), fix(4, "x", nine, 3, 4)}},
		"GPX with tracks, milliseconds, zones and extensions": {"ride.gpx", gpxText, trackfile.Options{},
			[]trackfile.Fix{
				fix(6, "Morning", nine+250, 1.5, 2.5, altitude(12.5), func(f *trackfile.Fix) { f.Temperature, f.Speed = 21, 4.5 }),
				fix(9, "Morning", nine+1000, 1.6, 2.6),
				fix(12, "ride", nine+2000, 1.7, 2.7),
			}},
		"GeoJSON points with altitude": {"a.geojson",
			`{"type":"FeatureCollection","features":[` + "\n" +
				`{"type":"Feature","geometry":{"type":"Point","coordinates":[2.5,1.5,30]},"properties":{"device_id":"d","time":"2026-01-15T09:30:00Z","latitude":99}}]}`,
			trackfile.Options{}, []trackfile.Fix{fix(2, "d", nine, 1.5, 2.5, altitude(30))}},
		"GeoJSON lines with times": {"a.json",
			`{"type":"Feature","properties":{"name":"x","speed":7,"coordTimes":["2026-01-15T09:30:00Z","2026-01-15T09:30:01Z"]},` +
				`"geometry":{"type":"LineString","coordinates":[[2.5,1.5],[2.6,1.6]]}}`,
			trackfile.Options{Device: "d"},
			[]trackfile.Fix{fix(1, "d", nine, 1.5, 2.5, part(1)), fix(1, "d", nine+1000, 1.6, 2.6, part(2))}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, packed := range []bool{false, true} {
				text, file := test.text, test.file
				if packed {
					text, file = gzipped(t, text), file+".gz"
				}
				got, rows, err := readAll(text, file, test.options)
				if err != nil || len(rows) > 0 {
					t.Fatalf("row errors %q, error %v, want none", rows, err)
				}
				if diff := cmp.Diff(test.want, got, approximates); diff != "" {
					t.Errorf("gzip %t: fixes differ (-want +got):\n%s", packed, diff)
				}
			}
		})
	}
}

const gpxText = `<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1" xmlns:t="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">
<metadata><name>of the file</name><time>2020-01-01T00:00:00Z</time></metadata>
<wpt lat="9" lon="9"><name>a waypoint</name></wpt>
<trk><name>Morning</name><trkseg>
<trkpt lat="1.5" lon="2.5"><ele>12.5</ele><time>2026-01-15T09:30:00.25Z</time>
<extensions><t:TrackPointExtension><t:atemp>21</t:atemp><t:speed>4.5</t:speed></t:TrackPointExtension></extensions></trkpt>

<trkpt lat="1.6" lon="2.6"><time>2026-01-15T10:30:01+01:00</time></trkpt>
</trkseg></trk>
<trk><trkseg>
<trkpt lat="1.7" lon="2.7"><time>2026-01-15T09:30:02Z</time></trkpt></trkseg></trk>
</gpx>`

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

func TestABadRowIsReportedWithItsLineAndTheRestIsRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, text string
		rows       []string
		fixes      int
	}{
		"CSV": {"d.csv", "ts,lat,lon\n1768469400,1,2\nyesterday,1,2\n1768469400,,2\n1768469400,1,NaN\n1768469400,1\n1768469400,x,2\n1768469400,1e999,2\n1768469400,3,4\n",
			[]string{
				`line 3: the timestamp (column ts) "yesterday" is not a time such as 2026-01-15T09:30:00Z, 2026-01-15T11:30:00+02:00, or Unix seconds or milliseconds`,
				`line 4: the latitude is missing`,
				`line 5: the longitude (column lon) is missing`,
				`line 6: the row has 2 columns where the first row has 3`,
				`line 7: the latitude (column lat) "x" is not a number`,
				`line 8: the latitude (column lat) "1e999" is not a number`,
			}, 2},
		"a quote that is not closed": {"d.csv", "ts,lat,lon,note\n1768469400,1,2,\"x\n1768469401,1,2,y\n1768469402,1,2,z\n",
			[]string{"line 2: a quote is not closed: what follows it has 2 lines that look like rows"}, 0},
		"NDJSON": {"d.ndjson", "{\"ts\":1,\"lat\":1,\"lon\":2}\n{\"ts\":1\n[1]\n{\"ts\":99999999999999999999,\"lat\":1,\"lon\":2}\n{\"ts\":1,\"lat\":1,\"lon\":2}\n",
			[]string{
				"line 2: the line is not a JSON object: unexpected end of JSON input",
				"line 3: the line is not a JSON object: json: cannot unmarshal array into Go value of type map[string]json.RawMessage",
				`line 4: the timestamp (column ts) "99999999999999999999" is not a time such as 2026-01-15T09:30:00Z, 2026-01-15T11:30:00+02:00, or Unix seconds or milliseconds`,
			}, 2},
		"JSON": {"d.json", "[{\"ts\":1,\"lat\":1,\"lon\":2},\n3,\n{\"lat\":1,\"lon\":2}]",
			[]string{"line 2: the element is not a JSON object", "line 3: the timestamp is missing"}, 1},
		"GeoJSON": {"d.geojson", `{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Polygon","coordinates":[]}},` + "\n" +
			`{"type":"Feature","geometry":{"type":"LineString","coordinates":[[1,2]]},"properties":{}},` + "\n" +
			`{"type":"Feature","geometry":{"type":"LineString","coordinates":[[1,2]]},"properties":{"times":[]}},` + "\n" +
			`{"type":"Feature","geometry":{"type":"Point","coordinates":[1]},"properties":{}}, null]}`,
			[]string{
				`line 1: the geometry "Polygon" is not a Point, a LineString or a MultiLineString`,
				"line 2: the line has no times in a property coordTimes, times or timestamps",
				"line 3: the line has 1 positions and 0 times",
				"line 4: the Point's coordinates are not [longitude, latitude]",
				"line 4: this is not a GeoJSON Feature with a geometry",
			}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fixes, rows, err := readAll(test.text, test.file, trackfile.Options{})
			if err != nil || len(fixes) != test.fixes {
				t.Errorf("read %d fixes and error %v, want %d and none", len(fixes), err, test.fixes)
			}
			if diff := cmp.Diff(test.rows, rows); diff != "" {
				t.Errorf("row errors differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFileThatCannotBeReadSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, text, want string
		options          trackfile.Options
	}{
		"empty":                       {"a.csv", "", "the file is empty", trackfile.Options{}},
		"no column for the timestamp": {"a.csv", "when,lat,lon\n1,2,3\n", "no column is known to hold the timestamp; the columns are when, lat, lon: name the one that does with --map timestamp=COLUMN", trackfile.Options{}},
		"a mapped column not there":   {"a.csv", "ts,lat,lon\n1,2,3\n", `there is no column "alti", which --map altitude=… names; the columns are ts, lat, lon`, trackfile.Options{Mapping: mapping(t, "altitude=alti")}},
		"an array that breaks off":    {"a.json", "[{\"ts\":1,\"lat\":1,\"lon\":2},\n{\"ts\"", "line 2 is not JSON, and nothing after it was read: unexpected EOF", trackfile.Options{}},
		"GPX without tracks":          {"a.gpx", "<gpx><wpt lat='1' lon='2'/></gpx>", "the file has no track points; waypoints and routes are not read", trackfile.Options{}},
		"GPX that breaks off":         {"a.gpx", "<gpx><trk>\n<trkpt", "line 2 is not XML, and nothing after it was read: unexpected EOF", trackfile.Options{}},
		"an unknown format":           {"a.csv", "x", `the format "xls" is none of csv, fit, geojson, gpx, json, kml, ndjson, nmea, owntracks, plt, tcx`, trackfile.Options{Format: "xls"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, rows, err := readAll(test.text, test.file, test.options)
			if err == nil || err.Error() != test.want || len(rows) > 0 {
				t.Errorf("error %v, rows %q, want %q", err, rows, test.want)
			}
		})
	}
}

func TestReadingStopsWhenNobodyWantsMore(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a.csv":     "ts,lat,lon\n1,2,3\n1,2,3\n",
		"a.ndjson":  "{\"ts\":1,\"lat\":1,\"lon\":2}\n{\"ts\":1,\"lat\":1,\"lon\":2}\n",
		"a.json":    `[{"ts":1,"lat":1,"lon":2},{"ts":1,"lat":1,"lon":2}]`,
		"a.gpx":     gpxText,
		"a.geojson": `{"type":"FeatureCollection","features":[{"type":"Feature","geometry":null},{"type":"Feature","geometry":null}]}`,
	} {
		count := 0
		for range trackfile.Read(strings.NewReader(text), name, trackfile.Options{}) {
			count++
			break
		}
		if count != 1 {
			t.Errorf("%s: %d yields, want 1", name, count)
		}
	}
}

func TestParseMappingRefuses(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"speed":           `the mapping "speed" must be FIELD=COLUMN[:UNIT] with one of the fields timestamp, latitude, longitude, altitude, accuracy, speed, heading, temperature, battery, device, session, date`,
		"colour=c":        `the mapping "colour=c" must be FIELD=COLUMN[:UNIT] with one of the fields timestamp, latitude, longitude, altitude, accuracy, speed, heading, temperature, battery, device, session, date`,
		"speed=v:knots":   `the mapping "speed=v:knots" names a unit that speed does not have; it has km/h, kn, m/s, mph`,
		"heading=h:turns": `the mapping "heading=h:turns" names a unit that heading does not have; it has none`,
	} {
		if _, err := trackfile.ParseMapping([]string{entry}); err == nil || err.Error() != want {
			t.Errorf("ParseMapping(%q) = %v, want %q", entry, err, want)
		}
	}
	if _, err := trackfile.ParseMapping([]string{"device=a", "session=a"}); err == nil {
		t.Error("one column for two fields was taken")
	}
	if _, rows, err := readAll("ts,lat,lon,a:b\n1,2,3,4\n", "x.csv", trackfile.Options{Mapping: mapping(t, "altitude=a:b:")}); err != nil || rows != nil {
		t.Errorf("a column with a colon: %v %v", rows, err)
	}
}
