package trackfile_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/muktihari/fit/encoder"
	"github.com/muktihari/fit/profile/filedef"
	"github.com/muktihari/fit/profile/mesgdef"
	"github.com/muktihari/fit/profile/typedef"

	"lastseen/cmd/lastseen/trackfile"
)

// readFile reads a file from the disk, and collects notes besides.
func readFile(t *testing.T, path string, options trackfile.Options) (fixes []trackfile.Fix, rows, notes []string, err error) {
	t.Helper()
	in, openErr := os.Open(path)
	if openErr != nil {
		t.Fatal(openErr)
	}
	defer in.Close()
	options.Note = func(sentence string) { notes = append(notes, sentence) }
	for fix, e := range trackfile.Read(in, path, options) {
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
	return fixes, rows, notes, err
}

// zipped writes an archive of files, given as names and texts in turn.
func zipped(t *testing.T, name string, files ...string) string {
	t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for pair := range slices.Chunk(files, 2) {
		member, err := w.Create(pair[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := member.Write([]byte(pair[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnArchivesFilesAreReadEachByItsFormat(t *testing.T) {
	t.Parallel()
	path := zipped(t, "all.zip",
		"Takeout/Location History/Records.json", `{"locations":[{"latitudeE7":10000000,"longitudeE7":20000000,"timestamp":"2026-01-15T09:30:00Z"}]}`,
		"Takeout/archive_browser.html", "<html></html>",
		"van.csv", "ts,lat,lon\n1768469400,1,2\nx,1,2\n",
		"__MACOSX/._van.csv", "junk", "picture.png", "\x89PNG\r\n")
	fixes, rows, notes, err := readFile(t, path, trackfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	inside := func(name string) func(*trackfile.Fix) {
		return func(f *trackfile.Fix) { f.Place.Member = name }
	}
	want := []trackfile.Fix{
		fix(1, "Records", nine, 1, 2, inside("Takeout/Location History/Records.json")), fix(2, "van", nine, 1, 2, inside("van.csv")),
	}
	if diff := cmp.Diff(want, fixes, approximates); diff != "" {
		t.Errorf("fixes differ (-want +got):\n%s", diff)
	}
	if len(rows) != 1 || !strings.HasPrefix(rows[0], "line van.csv:3: ") {
		t.Errorf("rows %q", rows)
	}
	wantNotes := []string{
		"Takeout/archive_browser.html in the archive is not read: the file is an HTML page, which is not read: download the file itself",
		"picture.png in the archive is not read: the file is a PNG picture, which is not read: positions inside pictures are not looked for",
	}
	if diff := cmp.Diff(wantNotes, notes); diff != "" {
		t.Errorf("notes differ (-want +got):\n%s", diff)
	}
}

func TestArchivesThatGiveNothingSaySo(t *testing.T) {
	t.Parallel()
	for want, path := range map[string]string{
		"the file is a zip archive in which no file holds positions that can be read":              zipped(t, "a.zip", "readme.txt", "hello\n"),
		"the file is a spreadsheet (Excel or Numbers), which is not read: save its table as CSV":   zipped(t, "a.xlsx", "xl/workbook.xml", "<x/>"),
		"the file is a document or a program, which is not read: look for an export as CSV or GPX": zipped(t, "a.docx", "word/document.xml", "<x/>"),
	} {
		if _, rows, _, err := readFile(t, path, trackfile.Options{}); err == nil || err.Error() != want || len(rows) > 0 {
			t.Errorf("error %v, rows %q, want %q", err, rows, want)
		}
	}
	whole := zipped(t, "cut.zip", "a.csv", "ts,lat,lon\n1768469400,1,2\n")
	if err := os.Truncate(whole, 40); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := readFile(t, whole, trackfile.Options{}); err == nil || !strings.HasPrefix(err.Error(), "the file is a zip archive that is cut off or damaged") {
		t.Errorf("a cut archive: %v", err)
	}
	if _, _, err := readAll("PK\x03\x04", "-", trackfile.Options{}); err == nil || !strings.Contains(err.Error(), "can only be read from a file") {
		t.Errorf("an archive from a pipe: %v", err)
	}
}

func TestZstdIsUndone(t *testing.T) {
	t.Parallel()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, rows, err := readAll(string(w.EncodeAll([]byte("ts,lat,lon\n1768469400,1,2\n"), nil)), "van.csv.zst", trackfile.Options{})
	if diff := cmp.Diff([]trackfile.Fix{fix(2, "van", nine, 1, 2)}, got, approximates); err != nil || len(rows) > 0 || diff != "" {
		t.Errorf("rows %q, error %v, fixes differ (-want +got):\n%s", rows, err, diff)
	}
}

func TestFITRecordsAreRead(t *testing.T) {
	t.Parallel()
	text := fitText(t)
	got, rows, err := readAll(text, "ride.fit", trackfile.Options{})
	if err != nil || len(rows) > 0 || len(got) != 1 {
		t.Fatalf("%d fixes, rows %q, error %v", len(got), rows, err)
	}
	f := got[0]
	if f.Place.Line != 2 || f.Device != "ride" || f.Timestamp != nine || f.Latitude < 47.4999999 || f.Latitude > 47.5000001 ||
		f.Longitude > -8.2499999 || f.Longitude < -8.2500001 || f.Altitude != 412.4 || f.Speed != 4.5 || f.Temperature != -3 || f.Accuracy != 5 {
		t.Errorf("the fix is %+v", f)
	}
	_, _, err = readAll(text[:len(text)/2], "ride.fit", trackfile.Options{})
	if err == nil || !strings.Contains(err.Error(), "is not FIT, and nothing more was read") {
		t.Errorf("half a file: %v", err)
	}
}

var started = time.UnixMilli(nine)

// fitText is a FIT file with a record without a position and one with everything.
func fitText(t testing.TB) string {
	t.Helper()
	activity := filedef.NewActivity()
	activity.FileId = *mesgdef.NewFileId(nil).SetType(typedef.FileActivity).SetTimeCreated(started)
	activity.Records = append(activity.Records,
		mesgdef.NewRecord(nil).SetTimestamp(started).SetHeartRate(99),
		mesgdef.NewRecord(nil).SetTimestamp(started).SetPositionLatDegrees(47.5).SetPositionLongDegrees(-8.25).
			SetEnhancedAltitudeScaled(412.4).SetEnhancedSpeedScaled(4.5).SetTemperature(-3).SetGpsAccuracy(5))
	var out bytes.Buffer
	data := activity.ToFIT(nil)
	if err := encoder.New(&out).Encode(&data); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAFileThatIsNotReadIsNamedByItsFormat(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"%PDF-1.7\n":                                        "the file is a PDF document, which is not read: look for an export as CSV or GPX",
		"PAR1\x15\x04":                                      "the file is a Parquet file, which is not read: write it as CSV or NDJSON",
		"SQLite format 3\x00":                               "the file is an SQLite database, which is not read: write its table as CSV",
		"\xfd7zXZ\x00\x00":                                  "the file is compressed with xz, which is not read: unpack it first with xz -d",
		"<!DOCTYPE html>\n<html><body>":                     "the file is an HTML page, which is not read: download the file itself",
		`<?xml version="1.0"?><osm version="6">`:            "the file is an XML file of the kind osm, which is not read: GPX, KML and TCX are",
		"!AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1Cb069D,0*24\n": "the file is made of AIS sentences (!AIVDM), which is not read: decode them to CSV first",
		"AXXX001\r\nHFDTE150126\r\nB0930004730000N00815000EA0041200420\r\n": "the file is an IGC flight recording, which is not read: convert it to GPX",
		`{"timelineObjects":[]}`: "the file is Google's older Semantic Location History, which is not read: Records.json of the same Takeout is",
		`<kml><Placemark><Point><coordinates>8,50</coordinates></Point></Placemark></kml>`: "the KML file has no positions with times: only tracks (gx:Track) and points with a TimeStamp can be imported",
		"\x01\x02\x03\x04\x00\x00\x00":           "the file is binary, in a format that is not known, which is not read: look for an export as CSV or GPX",
		"time,lat\n\xe4":                         "no column is known to hold the longitude; the columns are time, lat: name the one that does with --map longitude=COLUMN",
		"ts,lat,lon\n1,2,\xe4\n":                 "after line 1: this is not UTF-8, and nothing from here on was read: say what it is with --encoding, such as --encoding windows-1252",
		"\x1b[31mRED\x1b[0m,\abell,lat\n1,2,3\n": `no column is known to hold the timestamp; the columns are "\x1b[31mRED\x1b[0m", "\abell", lat: name the one that does with --map timestamp=COLUMN`,
	} {
		if _, rows, err := readAll(text, "x.dat", trackfile.Options{}); err == nil || err.Error() != want || len(rows) > 0 {
			t.Errorf("%q: error %v, rows %q, want %q", text, err, rows, want)
		}
	}
}

func TestNumbersAndTimesThatCannotBeTrustedAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"time;lat;lon\n2026-05-01T10:00:00Z;47,1234;8,5432\n": `line 2: the latitude (column lat) "47,1234" is not a number: if the comma is its decimal mark, say so with --decimal-comma`,
		"time,lat,lon\n2026-05-01T10:00:00Z,47,1234,8,5432\n": "line 2: the row has 5 columns where the first row has 3",
		"time,lat,lon\n2026-05-01 10:00:00,47,8\n":            `line 2: the timestamp (column time) "2026-05-01 10:00:00" does not say its offset from UTC: say which time zone it is with --time-zone, such as --time-zone UTC`,
		"time,lat,lon\n05/01/2026 10:00:00,47,8\n":            `line 2: the timestamp (column time) "05/01/2026 10:00:00" is not a time such as 2026-01-15T09:30:00Z, 2026-01-15T11:30:00+02:00, or Unix seconds or milliseconds`,
		"time,lat,lon\n1e13,47,8\n1e99,47,8\n":                `line 3: the timestamp (column time) "1e99" is not a time such as 2026-01-15T09:30:00Z, 2026-01-15T11:30:00+02:00, or Unix seconds or milliseconds`,
	} {
		_, rows, err := readAll(text, "x.csv", trackfile.Options{})
		if err != nil || len(rows) != 1 || rows[0] != want {
			t.Errorf("%q: rows %q, error %v, want %q", text, rows, err, want)
		}
	}
	_, rows, _ := readAll("time;lat;lon\n2026-05-01T10:00:00Z;47.1;8,5\n", "x.csv", trackfile.Options{DecimalComma: true})
	if want := `line 2: the latitude (column lat) "47.1" has a dot, where --decimal-comma says that the decimal mark is a comma`; len(rows) != 1 || rows[0] != want {
		t.Errorf("a dot among commas: %q", rows)
	}
}

// TestOfAnOwnTracksRecordingOnlyWhatNamesNobodyIsTold: the topic, or the path, says whose it is.
func TestOfAnOwnTracksRecordingOnlyWhatNamesNobodyIsTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path, more string
		want       []string
	}{
		"by the topic": {"2026-01.rec", `,"topic":"owntracks/anna/phone"`, nil},
		"by the path":  {"rec/anna/phone/2026-01.rec", "", nil},
		"by nothing":   {"2026-01.rec", "", []string{"column tid is not used; --map device=tid?"}},
	} {
		var notes []string
		line := "2026-01-15T09:30:00Z\t*\t" + `{"_type":"location","tst":1768469400,"lat":1,"lon":2,"tid":"ab"` + test.more + "}\n"
		for _, err := range trackfile.Read(strings.NewReader(line), test.path, trackfile.Options{Note: func(s string) { notes = append(notes, s) }}) {
			if err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(test.want, notes); diff != "" {
			t.Errorf("%s: notes differ (-want +got):\n%s", name, diff)
		}
	}
}

func TestAColumnThatStandsThereTwiceIsRefused(t *testing.T) {
	t.Parallel()
	_, _, err := readAll("time,lat,lon,lat,note,note\n2026-05-01T10:00:00Z,47,8,48,a,b\n", "x.csv", trackfile.Options{})
	if err == nil || err.Error() != "the column lat stands there twice, and nobody knows which one is the latitude: give one another name" {
		t.Errorf("the error is %v", err)
	}
	if fixes, _, err := readAll("time,lat,lon,note,note\n2026-05-01T10:00:00Z,47,8,a,b\n", "x.csv", trackfile.Options{}); err != nil || len(fixes) != 1 {
		t.Errorf("of a column twice that is not used: %v, %v", fixes, err)
	}
}

func TestColumnsThatLookLikeAnIdentityAreTold(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][]string{
		"ts,lat,lon,uid":            {"column uid is not used; --map device=uid?"},
		"ts,lat,lon,User Name":      {"column User Name is not used; --map device=User Name?"},
		"ts,lat,lon,collarId":       {"column collarId is not used; --map device=collarId?"},
		"ts,lat,lon,trip_id":        nil,
		"ts,lat,lon,satellites":     nil,
		"ts,lat,lon,uid,vehicle_id": nil,
	} {
		var notes []string
		row := "1768469400,1,2" + strings.Repeat(",x", strings.Count(header, ",")-2)
		for _, err := range trackfile.Read(strings.NewReader(header+"\n"+row+"\n"+row+"\n"), "x.csv", trackfile.Options{Note: func(s string) { notes = append(notes, s) }}) {
			if err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(want, notes); diff != "" {
			t.Errorf("%s: notes differ (-want +got):\n%s", header, diff)
		}
	}
}
