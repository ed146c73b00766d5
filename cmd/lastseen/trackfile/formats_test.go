package trackfile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/cmd/lastseen/trackfile"
)

// change sets a value of a wanted fix.
func change(set func(*trackfile.Fix)) func(*trackfile.Fix) { return set }

func TestReadUnderstandsWhatLoggersWrite(t *testing.T) {
	t.Parallel()
	part := func(n int) func(*trackfile.Fix) { return func(f *trackfile.Fix) { f.Place.Part = n } }
	for name, test := range map[string]struct {
		file, text string
		options    trackfile.Options
		want       []trackfile.Fix
	}{
		"GPSLogger's CSV": {"20260115.csv",
			"time,lat,lon,elevation,accuracy,bearing,speed,satellites,provider,hdop,vdop,pdop,geoidheight,ageofdgpsdata,dgpsid,activity,battery,annotation,timestamp_ms,time_offset,distance,starttimestamp_ms,profile_name,battery_charging\n" +
				"2026-01-15T09:30:00.123Z,50.11,8.12,112.4,6.2,270.5,1.25,9,gps,0.9,1.1,1.4,47.1,,,,85,,1768469400123,2026-01-15T11:30:00.123+02:00,12.5,1768469000000,Default Profile,false\n",
			trackfile.Options{},
			[]trackfile.Fix{fix(2, "20260115", nine+123, 50.11, 8.12, change(func(f *trackfile.Fix) {
				f.Altitude, f.Accuracy, f.Heading, f.Speed, f.Battery = 112.4, 6.2, 270.5, 1.25, 0.85
			}))}},
		"a Traccar table in knots": {"report.csv",
			"id,deviceId,deviceTime,serverTime,fixTime,latitude,longitude,speed,course,accuracy\n9,7,x,x,2026-01-15T09:30:00.000+00:00,1,2,10,90,0\n",
			trackfile.Options{},
			[]trackfile.Fix{fix(2, "7", nine, 1, 2, change(func(f *trackfile.Fix) { f.Speed, f.Heading = 10*1852.0/3600, 90 }))}},
		"AIS of MarineCadastre": {"AIS.csv", "MMSI,BaseDateTime,LAT,LON,SOG,COG,Heading,VesselName\n367000001,2026-01-15T09:30:00,40.5,-74.1,10,181.5,511,X\n",
			trackfile.Options{},
			[]trackfile.Fix{fix(2, "367000001", nine, 40.5, -74.1, change(func(f *trackfile.Fix) { f.Speed, f.Heading = 10*1852.0/3600, 181.5 }))}},
		"an OwnTracks recording": {"store/rec/anna/van7/2026-01.rec",
			"2026-01-15T09:30:00Z\t*                 \t" + `{"_type":"location","tst":1768469400,"lat":1,"lon":2,"acc":14,"alt":212,"vel":36,"cog":118,"batt":76,"tid":"v7","t":"u"}` + "\n" +
				"2026-01-15T09:30:01Z\tlwt               \t" + `{"_type":"lwt","tst":1768469401}` + "\n" +
				"2026-01-15T09:30:02Z\t*                 \t" + `{"_type":"location","tst":1768469402,"lat":1,"lon":2,"acc":0,"topic":"owntracks/bert/phone/event"}` + "\n",
			trackfile.Options{},
			[]trackfile.Fix{
				fix(1, "anna/van7", nine, 1, 2, change(func(f *trackfile.Fix) {
					f.Accuracy, f.Altitude, f.Speed, f.Heading, f.Battery = 14, 212, 10, 118, 0.76
				})),
				fix(3, "bert/phone", nine+2000, 1, 2),
			}},
		"an OwnTracks export": {"anna.json", `{"count":1,"status":200,"data":[` + "\n" + `{"_type":"location","tst":1768469400,"lat":1,"lon":2,"topic":"owntracks/anna/phone"}]}`,
			trackfile.Options{}, []trackfile.Fix{fix(2, "anna/phone", nine, 1, 2)}},
		"Takeout's Records.json, old and new": {"Records.json", `{"locations": [{"latitudeE7":501234567,"longitudeE7":-81234567,"accuracy":14,"timestampMs":"1768469400123","velocity":3,"heading":90,"deviceTag":5},` + "\n" +
			`{"latitudeE7":5012345,"longitudeE7":4294967296,"timestamp":"2026-01-15T09:30:01.5Z","source":"WIFI"},{"timestamp":"2026-01-15T09:30:02Z","deviceTag":5}]}`,
			trackfile.Options{},
			[]trackfile.Fix{
				fix(1, "Records", nine+123, 50.1234567, -8.1234567, change(func(f *trackfile.Fix) { f.Accuracy, f.Speed, f.Heading = 14, 3, 90 })),
				fix(2, "Records", nine+1500, 0.5012345, 0),
			}},
		"Android's Timeline.json": {"Timeline.json", `{"semanticSegments":[{"startTime":"2026-01-15T10:00:00.000+01:00","endTime":"2026-01-15T12:00:00.000+01:00","timelinePath":[` +
			`{"point":"50.1°, 8.1°","time":"2026-01-15T10:30:00.000+01:00"},{"point":"50.2°, -8.2°","time":"2026-01-15T10:31:00.000+01:00"}]},` + "\n" +
			`{"startTime":"2026-01-15T12:00:00Z","endTime":"2026-01-15T13:00:00Z","visit":{}}],` + "\n" +
			`"rawSignals":[{"position":{"LatLng":"50.3°, 8.3°","accuracyMeters":20,"altitudeMeters":101.5,"source":"GPS","timestamp":"2026-01-15T09:32:00Z","speedMetersPerSecond":1.5}},{"wifiScan":{}}]}`,
			trackfile.Options{},
			[]trackfile.Fix{
				fix(1, "Timeline", nine, 50.1, 8.1, part(1)), fix(1, "Timeline", nine+60_000, 50.2, -8.2, part(2)),
				fix(3, "Timeline", nine+120_000, 50.3, 8.3, change(func(f *trackfile.Fix) { f.Accuracy, f.Altitude, f.Speed = 20, 101.5, 1.5 })),
			}},
		"an iPhone's location history": {"location-history.json", `[{"endTime":"2026-01-15T12:00:00.000+01:00","startTime":"2026-01-15T10:00:00.000+01:00","timelinePath":[` +
			`{"point":"geo:50.1,8.1","durationMinutesOffsetFromStartTime":"30"}]},{"startTime":"x","visit":{}}]`,
			trackfile.Options{}, []trackfile.Fix{fix(1, "location-history", nine, 50.1, 8.1, part(1))}},
		"Overland's batch": {"batch.json", `{"locations":[{"type":"Feature","geometry":{"type":"Point","coordinates":[2,1]},"properties":{"timestamp":"2026-01-15T09:30:00Z","speed":12,"course":274,"horizontal_accuracy":5,"battery_level":0.83,"battery_state":"unplugged","device_id":"van7"}},` +
			`{"type":"Feature","geometry":{"type":"Point","coordinates":[2,1]},"properties":{"timestamp":"2026-01-15T09:34:00Z","action":"visit","battery_state":"unplugged","device_id":"van7"}},` +
			`{"type":"Feature","properties":{"timestamp":"2026-01-15T09:35:00Z","action":"paused_location_updates","battery_state":"unplugged","device_id":"van7"}}]}`,
			trackfile.Options{},
			[]trackfile.Fix{fix(1, "van7", nine, 1, 2, change(func(f *trackfile.Fix) { f.Speed, f.Heading, f.Accuracy, f.Battery = 12, 274, 5, 0.83 }))}},
		"our own ingest body": {"body.json", `{"points": [{"timestamp": "2026-01-15T09:30:00Z", "latitude": 50, "longitude": 8}, {"timestamp": "2026-01-15T09:30:05Z", "latitude": 50.1, "longitude": 8}]}`,
			trackfile.Options{}, []trackfile.Fix{fix(1, "body", nine, 50, 8), fix(1, "body", nine+5000, 50.1, 8)}},
		"our own answer": {"answer.json", `{"data_points":[{"_id":"x","timestamp":"2026-01-15T09:30:00Z","schema_version":1,"temperature":4.5,"location":{"type":"Feature","geometry":{"type":"Point","coordinates":[8,50,7]},"properties":{"speed":2}},"metadata":{"session_id":"s1","outlier":false}},null],"stationary_clusters":[]}`,
			trackfile.Options{}, []trackfile.Fix{fix(1, "answer", nine, 50, 8, change(func(f *trackfile.Fix) { f.Session, f.Altitude, f.Speed, f.Temperature = "s1", 7, 2, 4.5 }))}},
		"one object over several lines": {"one.json", "{\n \"ts\": 1768469400,\n \"lat\": 1, \"lon\": 2, \"points\": 3\n}", trackfile.Options{}, []trackfile.Fix{fix(1, "one", nine, 1, 2)}},
		"a GeoLife track": {"20260115.plt", "Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,My Track,0,0,2,8421376\r\n0\r\n" +
			"39.984702,116.318417,0,492,46037.3958333333,2026-01-15,09:30:00\r\n39.984683,116.31845,0,-777,46037.3958449074,2026-01-15,09:30:01\r\n",
			trackfile.Options{Device: "d"},
			[]trackfile.Fix{fix(7, "d", nine, 39.984702, 116.318417, change(func(f *trackfile.Fix) { f.Altitude = 149.9616 })), fix(8, "d", nine+1000, 39.984683, 116.31845)}},
		"an OziExplorer track with a date in words": {"a.plt", "OziExplorer Track Point File Version 2.1\nWGS 84\nAltitude is in Feet\nReserved 3\n0,2,255,x,0,0,2,8421376\n1\n" +
			" 39.9,116.3,1,0,46037.3958333333, 15-Jan-26, 09:30:00\n",
			trackfile.Options{}, []trackfile.Fix{fix(7, "a", nine, 39.9, 116.3, change(func(f *trackfile.Fix) { f.Altitude = 0 }))}},
		"NMEA with its date, over midnight": {"log.nmea", nmeaText, trackfile.Options{},
			[]trackfile.Fix{
				fix(4, "log", time.Date(2026, 1, 15, 23, 59, 59, 500e6, time.UTC).UnixMilli(), 48.1173, 11.516666666666667, change(func(f *trackfile.Fix) {
					f.Altitude, f.Speed, f.Heading = 545.4, 22.4*1852/3600, 84.4
				})),
				fix(6, "log", time.Date(2026, 1, 16, 0, 0, 0, 500e6, time.UTC).UnixMilli(), 48.1173, 11.516666666666667, change(func(f *trackfile.Fix) { f.Altitude = 545.4 })),
			}},
		"KML with a track and points with times": {"doc.kml", `<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2"><Document>
<Placemark><name>Van</name><gx:Track><when>2026-01-15T09:30:00Z</when><when>2026-01-15T09:30:01Z</when><gx:coord>2 1 30</gx:coord><gx:coord>2.5 1.5</gx:coord></gx:Track></Placemark>
<Placemark><name>a place</name><TimeStamp><when>2026-01-15T09:30:02Z</when></TimeStamp><Point><coordinates>2,1,3</coordinates></Point></Placemark>
<Placemark><LineString><coordinates>2,1 3,2</coordinates></LineString></Placemark></Document></kml>`,
			trackfile.Options{},
			[]trackfile.Fix{
				fix(2, "Van", nine, 1, 2, part(1), change(func(f *trackfile.Fix) { f.Altitude = 30 })), fix(2, "Van", nine+1000, 1.5, 2.5, part(2)),
				fix(3, "doc", nine+2000, 1, 2, change(func(f *trackfile.Fix) { f.Altitude = 3 })),
			}},
		"TCX": {"run.tcx", `<?xml version="1.0"?><TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities><Activity Sport="Running"><Id>x</Id><Lap><Track>
<Trackpoint><Time>2026-01-15T09:30:00.000Z</Time><Position><LatitudeDegrees>1</LatitudeDegrees><LongitudeDegrees>2</LongitudeDegrees></Position><AltitudeMeters>3.5</AltitudeMeters><Extensions><ns3:TPX xmlns:ns3="x"><ns3:Speed>2.5</ns3:Speed></ns3:TPX></Extensions></Trackpoint>
<Trackpoint><Time>2026-01-15T09:30:01Z</Time></Trackpoint></Track></Lap></Activity></Activities></TrainingCenterDatabase>`,
			trackfile.Options{}, []trackfile.Fix{fix(2, "run", nine, 1, 2, change(func(f *trackfile.Fix) { f.Altitude, f.Speed = 3.5, 2.5 }))}},
		"GPX where extensions say something else": {"a.gpx", `<?xml version="1.0"?><gpx version="1.1" creator="t"><trk><trkseg><trkpt lat="50.1" lon="8.1"><extensions><timestamp>2020-01-01T00:00:00Z</timestamp><lat>1</lat><speed>2</speed></extensions><time>2026-01-15T09:30:00Z</time></trkpt></trkseg></trk></gpx>`,
			trackfile.Options{}, []trackfile.Fix{fix(1, "a", nine, 50.1, 8.1, change(func(f *trackfile.Fix) { f.Speed = 2 }))}},
		"OsmAnd's accuracy": {"a.gpx", `<gpx version="1.1" creator="OsmAnd 4.6"><trk><trkseg><trkpt lat="1" lon="2"><time>2026-01-15T09:30:00Z</time><hdop>4.7</hdop><extensions><osmand:speed>3</osmand:speed></extensions></trkpt></trkseg></trk></gpx>`,
			trackfile.Options{}, []trackfile.Fix{fix(1, "a", nine, 1, 2, change(func(f *trackfile.Fix) { f.Speed, f.Accuracy = 3, 4.7 }))}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, rows, err := readAll(test.text, test.file, test.options)
			if err != nil || len(rows) > 0 {
				t.Fatalf("row errors %q, error %v, want none", rows, err)
			}
			if diff := cmp.Diff(test.want, got, approximates); diff != "" {
				t.Errorf("fixes differ (-want +got):\n%s", diff)
			}
		})
	}
}

// nmeaText begins before midnight and ends after it, with a line of a logger's between.
var nmeaText = sentence("GPGSV,1,1,00") +
	sentence("GPRMC,235958.500,V,,,,,,,150126,,") +
	sentence("GPGGA,235959.500,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,") +
	sentence("GPRMC,235959.500,A,4807.038,N,01131.000,E,022.4,084.4,150126,,") +
	"a comment\n" +
	sentence("GPGGA,000000.500,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,")

// sentence is an NMEA sentence with its checksum.
func sentence(text string) string {
	var sum byte
	for i := range len(text) {
		sum ^= text[i]
	}
	return fmt.Sprintf("$%s*%02X\r\n", text, sum)
}

func TestTablesAreReadAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	berlin, err := trackfile.ParseZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	want := []trackfile.Fix{fix(2, "d", nine, 50.1, 8.1)}
	for name, test := range map[string]struct {
		text    string
		options trackfile.Options
	}{
		"a delimiter in quotes":             {"time,lat,lon,\"a; b; c; d; e\"\n2026-01-15T09:30:00Z,50.1,8.1,x\n", trackfile.Options{}},
		"bars":                              {"time|lat|lon\n2026-01-15T09:30:00Z|50.1|8.1\n", trackfile.Options{}},
		"a delimiter that is said":          {"time;lat,lon;note\n", trackfile.Options{}},
		"a comma in a name":                 {"time;lat;lon;a, b, c, d, e, f\n2026-01-15T09:30:00Z;50.1;8.1;x\n", trackfile.Options{}},
		"decimal commas":                    {"time;lat;lon\n2026-01-15T09:30:00Z;50,1;8,1\n", trackfile.Options{DecimalComma: true}},
		"decimal commas in quotes":          {"time,lat,lon\n2026-01-15T09:30:00Z,\"50,1\",\"8,1\"\n", trackfile.Options{DecimalComma: true}},
		"a zone by its name":                {"time,lat,lon\n2026-01-15 10:30:00,50.1,8.1\n", trackfile.Options{TimeZone: berlin}},
		"a day first, with dots":            {"time,lat,lon\n15.01.2026 10:30:00,50.1,8.1\n", trackfile.Options{TimeZone: berlin}},
		"a zone in the column's name":       {"time_utc,lat,lon\n2026-01-15 09:30:00,50.1,8.1\n", trackfile.Options{}},
		"date and time in two columns":      {"date,time,lat,lon\n2026-01-15,09:30:00,50.1,8.1\n", trackfile.Options{TimeZone: time.UTC}},
		"hemispheres":                       {"time,lat,lon\n2026-01-15T09:30:00Z,50.1N,8.1 E\n", trackfile.Options{}},
		"a delimiter at the end of the row": {"time,lat,lon\n2026-01-15T09:30:00Z,50.1,8.1,\n", trackfile.Options{}},
		"carriage returns alone":            {"time,lat,lon\r2026-01-15T09:30:00Z,50.1,8.1\r", trackfile.Options{}},
		"a text of several lines":           {"time,lat,lon,note\n2026-01-15T09:30:00Z,50.1,8.1,\"a\nb, c\n\"\n", trackfile.Options{}},
		"UTF-16":                            {"\xff\xfe" + utf16le("time\tlat\tlon\n2026-01-15T09:30:00Z\t50.1\t8.1\n"), trackfile.Options{}},
		"UTF-16 without a mark":             {utf16le("time\tlat\tlon\n2026-01-15T09:30:00Z\t50.1\t8.1\n"), trackfile.Options{}},
		"a leap second":                     {"time,lat,lon\n2026-01-14T23:59:60Z,50.1,8.1\n", trackfile.Options{}},
		"fractions of Unix time are cut":    {"ts,lat,lon\n1768469400.0009999,50.1,8.1\n", trackfile.Options{}},
	} {
		test.options.Device = "d"
		want := slices.Clone(want)
		if name == "a leap second" {
			want[0].Timestamp = time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC).UnixMilli()
		}
		if name == "a delimiter that is said" {
			test.text = "sep=;\r\ntime;lat;lon\r\n2026-01-15T09:30:00Z;50.1;8.1\r\n"
			want := []trackfile.Fix{fix(3, "d", nine, 50.1, 8.1)}
			if got, rows, err := readAll(test.text, "a.csv", test.options); err != nil || len(rows) > 0 || cmp.Diff(want, got, approximates) != "" {
				t.Errorf("%s: %v %q %v", name, got, rows, err)
			}
			continue
		}
		got, rows, err := readAll(test.text, "a.csv", test.options)
		if err != nil || len(rows) > 0 {
			t.Errorf("%s: row errors %q, error %v", name, rows, err)
		} else if diff := cmp.Diff(want, got, approximates); diff != "" {
			t.Errorf("%s: fixes differ (-want +got):\n%s", name, diff)
		}
	}
}

func utf16le(text string) string {
	var wide strings.Builder
	for _, c := range text {
		wide.WriteByte(byte(c))
		wide.WriteByte(byte(c >> 8))
	}
	return wide.String()
}

func TestNamesComeOutOfEveryCharacterSet(t *testing.T) {
	t.Parallel()
	const gpx = `<gpx version="1.1"><trk><name>%s</name><trkseg><trkpt lat="1" lon="2"><time>2026-01-15T09:30:00Z</time></trkpt></trkseg></trk></gpx>`
	for name, test := range map[string]struct {
		file, text, encoding string
	}{
		"Latin-1 that GPX declares": {"a.gpx", `<?xml version="1.0" encoding="ISO-8859-1"?>` + fmt.Sprintf(gpx, "B\xe4r"), ""},
		"UTF-16 that GPX declares":  {"a.gpx", "\xff\xfe" + utf16le(`<?xml version="1.0" encoding="UTF-16"?>`+fmt.Sprintf(gpx, "Bär")), ""},
		"UTF-8 with a mark":         {"a.gpx", "\xef\xbb\xbf" + `<?xml version="1.0" encoding="utf-8"?>` + fmt.Sprintf(gpx, "Bär"), ""},
		"Latin-1 in a table":        {"a.csv", "device,ts,lat,lon\nB\xe4r,1768469400,1,2\n", "latin-1"},
		"Windows-1252 in a table":   {"a.csv", "device,ts,lat,lon\nB\xe4r,1768469400,1,2\n", "windows-1252"},
	} {
		got, rows, err := readAll(test.text, test.file, trackfile.Options{Encoding: test.encoding})
		if err != nil || len(rows) > 0 || len(got) != 1 || got[0].Device != "Bär" {
			t.Errorf("%s: %v, rows %q, error %v", name, got, rows, err)
		}
	}
	if err := trackfile.CheckEncoding("klingon"); err == nil {
		t.Error("an unknown encoding was taken")
	}
}

// TestAPositionBeforeAPauseKeepsItsDay: a recording that pauses, for half a day or for weeks, names the date of what follows
// only, in the first sentence of an epoch or in the last.
func TestAPositionBeforeAPauseKeepsItsDay(t *testing.T) {
	t.Parallel()
	for _, dateFirst := range []bool{true, false} {
		var text strings.Builder
		var want []string
		for _, at := range []time.Time{
			time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC), time.Date(2026, 5, 1, 21, 0, 0, 0, time.UTC), time.Date(2026, 5, 20, 7, 0, 0, 0, time.UTC),
		} {
			epoch := []string{
				sentence("GPRMC," + at.Format("150405.00") + ",A,4807.038,N,01131.000,E,022.4,084.4," + at.Format("020106") + ",,,A"),
				sentence("GPGGA," + at.Format("150405.00") + ",4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"),
			}
			if !dateFirst {
				slices.Reverse(epoch)
			}
			text.WriteString(strings.Join(epoch, ""))
			want = append(want, at.Format(time.DateTime))
		}
		fixes, rows, err := readAll(text.String(), "log.nmea", trackfile.Options{})
		var got []string
		for _, f := range fixes {
			got = append(got, time.UnixMilli(f.Timestamp).UTC().Format(time.DateTime))
		}
		if err != nil || len(rows) > 0 || !slices.Equal(got, want) {
			t.Errorf("the date first %v: read at %v, want %v; %q, %v", dateFirst, got, want, rows, err)
		}
	}
}
