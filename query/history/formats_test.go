package history_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/google/go-cmp/cmp"
	"github.com/tkrajina/gpxgo/gpx"

	"lastseen/query/history"
	"lastseen/query/history/format"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// row is a data point as a reader of a file sees it: in units for people, nil for what is unknown.
type row struct {
	ID, Session                                 string
	Timestamp, Received                         time.Time
	Latitude, Longitude                         float64
	Altitude, Accuracy, Speed, Heading, Battery *float64
	Temperature                                 *float32
	Outlier                                     bool
}

// rowOf is how a point should be read.
func rowOf(p *schema.DataPoint) row {
	known := func(value, none int64, scale float64) *float64 {
		if value == none {
			return nil
		}
		return new(float64(value) / scale)
	}
	r := row{
		ID: string(schema.AppendPointID(nil, p.SessionID, p.Timestamp)), Session: p.SessionID.String(),
		Timestamp: time.UnixMilli(p.Timestamp).UTC(), Received: time.UnixMilli(p.ReceivedAt).UTC(),
		Latitude: float64(p.Latitude) / 1e7, Longitude: float64(p.Longitude) / 1e7,
		Altitude: known(int64(p.Altitude), schema.NoAltitude, 10), Accuracy: known(int64(p.Accuracy), schema.NoAccuracy, 10),
		Speed: known(int64(p.Speed), schema.NoSpeed, 100), Heading: known(int64(p.Heading), schema.NoHeading, 10),
		Battery: known(int64(p.Battery), schema.NoBattery, 10000), Outlier: p.Outlier != schema.NotOutlier,
	}
	if p.Temperature == p.Temperature {
		r.Temperature = &p.Temperature
	}
	return r
}

// readers read what a format writes with a library that others wrote.
var readers = map[format.Format]func(testing.TB, []byte) []row{
	format.JSON: func(tb testing.TB, text []byte) []row {
		var answer struct {
			Points []wireRow `json:"data_points"`
		}
		decode(tb, text, &answer)
		return rowsOf(answer.Points)
	},
	format.NDJSON: func(tb testing.TB, text []byte) []row {
		var points []wireRow
		for line := range strings.Lines(string(text)) {
			var p wireRow
			decode(tb, []byte(line), &p)
			points = append(points, p)
		}
		return rowsOf(points)
	},
	format.GeoJSON: readGeoJSON,
	format.CSV:     readCSV,
	format.Parquet: readParquet,
	format.Arrow: func(tb testing.TB, content []byte) []row {
		reader, err := ipc.NewReader(bytes.NewReader(content))
		if err != nil {
			tb.Fatal(err)
		}
		defer reader.Release()
		return readBatches(tb, reader)
	},
}

func decode(tb testing.TB, text []byte, into any) {
	tb.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		tb.Fatalf("%v: %.200s", err, text)
	}
}

// wireRow is a data point of the contract.
type wireRow struct {
	ID          string    `json:"_id"`
	Timestamp   time.Time `json:"timestamp"`
	Received    time.Time `json:"received_at_timestamp"`
	Temperature *float32  `json:"temperature"`
	Location    feature   `json:"location"`
	Metadata    struct {
		Session string `json:"session_id"`
		Outlier bool   `json:"outlier"`
	} `json:"metadata"`
}

type feature struct {
	Geometry struct {
		Type        string    `json:"type"`
		Coordinates []float64 `json:"coordinates"`
	} `json:"geometry"`
	Properties struct {
		ID          string    `json:"_id"`
		Session     string    `json:"session_id"`
		Timestamp   time.Time `json:"timestamp"`
		Received    time.Time `json:"received_at_timestamp"`
		Temperature *float32  `json:"temperature"`
		Outlier     bool      `json:"outlier"`
		Accuracy    *float64  `json:"accuracy"`
		Speed       *float64  `json:"speed"`
		Heading     *float64  `json:"heading"`
		Battery     *float64  `json:"battery"`
	} `json:"properties"`
}

// row returns what a feature says.
func (f *feature) row() row {
	at, p := f.Geometry.Coordinates, &f.Properties
	r := row{
		ID: p.ID, Session: p.Session, Timestamp: p.Timestamp, Received: p.Received, Longitude: at[0], Latitude: at[1],
		Accuracy: p.Accuracy, Speed: p.Speed, Heading: p.Heading, Battery: p.Battery, Temperature: p.Temperature, Outlier: p.Outlier,
	}
	if len(at) == 3 {
		r.Altitude = &at[2]
	}
	return r
}

func rowsOf(points []wireRow) (rows []row) {
	for _, p := range points {
		r := p.Location.row()
		r.ID, r.Session, r.Timestamp, r.Received = p.ID, p.Metadata.Session, p.Timestamp, p.Received
		r.Temperature, r.Outlier = p.Temperature, p.Metadata.Outlier
		rows = append(rows, r)
	}
	return rows
}

func readGeoJSON(tb testing.TB, text []byte) (rows []row) {
	var collection struct {
		Type     string    `json:"type"`
		Features []feature `json:"features"`
	}
	decode(tb, text, &collection)
	if collection.Type != "FeatureCollection" || collection.Features == nil {
		tb.Fatalf("it is no collection: %.100s", text)
	}
	for _, f := range collection.Features {
		rows = append(rows, f.row())
	}
	return rows
}

func readCSV(tb testing.TB, text []byte) (rows []row) {
	records, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	header := strings.Join(records[0], " ")
	if header != columnNames {
		tb.Fatalf("the columns are %s", header)
	}
	for _, record := range records[1:] {
		number := func(text string, bits int) *float64 {
			if text == "" {
				return nil
			}
			n, err := strconv.ParseFloat(text, bits)
			if err != nil {
				tb.Fatal(err)
			}
			return &n
		}
		instant := func(text string) time.Time {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				tb.Fatal(err)
			}
			return t
		}
		r := row{
			ID: record[0], Session: record[1], Timestamp: instant(record[2]), Received: instant(record[3]),
			Latitude: *number(record[4], 64), Longitude: *number(record[5], 64), Altitude: number(record[6], 64),
			Accuracy: number(record[7], 64), Speed: number(record[8], 64), Heading: number(record[9], 64),
			Battery: number(record[11], 64), Outlier: record[12] == "true",
		}
		if t := number(record[10], 32); t != nil {
			r.Temperature = new(float32(*t))
		}
		rows = append(rows, r)
	}
	return rows
}

const columnNames = "_id session_id timestamp received_at_timestamp latitude longitude altitude accuracy speed heading temperature battery outlier"

func readParquet(tb testing.TB, content []byte) []row {
	tb.Helper()
	return readBatches(tb, schematest.ReadParquet(tb, content))
}

// readBatches reads Arrow's columns by their types.
func readBatches(tb testing.TB, batches array.RecordReader) (rows []row) {
	tb.Helper()
	var names []string
	for _, field := range batches.Schema().Fields() {
		names = append(names, field.Name)
	}
	if got := strings.Join(names, " "); got != columnNames {
		tb.Fatalf("the columns are %s", got)
	}
	for batches.Next() {
		batch := batches.RecordBatch()
		instant := func(column, i int) time.Time {
			kind := batch.Column(column).DataType().(*arrow.TimestampType)
			if kind.TimeZone != "UTC" {
				tb.Fatalf("the time zone is %q", kind.TimeZone)
			}
			return batch.Column(column).(*array.Timestamp).Value(i).ToTime(kind.Unit)
		}
		number := func(column, i int) *float64 {
			values := batch.Column(column).(*array.Float64)
			if values.IsNull(i) {
				return nil
			}
			return new(values.Value(i))
		}
		for i := range int(batch.NumRows()) {
			r := row{
				ID: batch.Column(0).(*array.String).Value(i), Session: batch.Column(1).(*array.String).Value(i),
				Timestamp: instant(2, i), Received: instant(3, i), Latitude: *number(4, i), Longitude: *number(5, i),
				Altitude: number(6, i), Accuracy: number(7, i), Speed: number(8, i), Heading: number(9, i),
				Battery: number(11, i), Outlier: batch.Column(12).(*array.Boolean).Value(i),
			}
			if t := batch.Column(10).(*array.Float32); t.IsValid(i) {
				r.Temperature = new(t.Value(i))
			}
			rows = append(rows, r)
		}
	}
	if err := batches.Err(); err != nil && !errors.Is(err, io.EOF) {
		tb.Fatal(err)
	}
	return rows
}

// written are a few points with all that can be special about one, and how they should be read.
func written(session schema.ID) (stored []schema.OwnedPoint, want []row) {
	full := querytest.At(session, 10)
	full.Latitude, full.Longitude, full.Altitude, full.Accuracy = -338_568_201, 1_512_152_967, -123, 45
	full.Temperature, full.Speed, full.Heading, full.Battery = -18.37, 2345, 3599, 10000
	full.ReceivedAt += 123
	zero := querytest.At(session, 20)
	zero.Latitude, zero.Longitude, zero.Altitude, zero.Accuracy = 0, 0, 0, 0
	zero.Temperature, zero.Speed, zero.Heading, zero.Battery = 0, 0, 0, 0
	replaced, marked := querytest.At(session, 30), querytest.At(session, 40)
	replacement := querytest.Version(replaced, 1, schema.NotOutlier)
	replacement.Latitude, replacement.ReceivedAt = 1, replacement.ReceivedAt+5
	mark := querytest.Version(marked, 1, schema.OutlierByUser)
	twice := querytest.At(session, 50)
	again := twice
	again.ReceivedAt += 500
	month := querytest.At(session, 86400*40)
	stored = []schema.OwnedPoint{querytest.At(session, 0), full, zero, replacement, replaced, marked, mark, again, twice, month}
	for _, p := range []schema.OwnedPoint{stored[0], full, zero, replacement, mark, twice, month} {
		want = append(want, rowOf(&p.DataPoint))
	}
	return stored, want
}

func TestEveryFormatSaysWhatIsStored(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	stored, want := written(s.ID)
	h, db := historyOf(t, s)
	for _, p := range stored { // as many parts, so that nothing is merged on the way in
		querytest.Insert(t, db, p)
	}
	for kind, read := range readers {
		t.Run(kind.String(), func(t *testing.T) {
			request := wanted(s.ID)
			request.Format = kind
			if diff := cmp.Diff(want, read(t, []byte(pull(t, h, request)))); diff != "" {
				t.Errorf("the points differ (- want, + got):\n%s", diff)
			}
			request.BucketSeconds = 30
			buckets := []row{want[2], want[5], want[6]}
			if diff := cmp.Diff(buckets, read(t, []byte(pull(t, h, request)))); diff != "" {
				t.Errorf("the buckets differ (- want, + got):\n%s", diff)
			}
			request.Start, request.End = 0, 1
			if rows := read(t, []byte(pull(t, h, request))); len(rows) != 0 {
				t.Errorf("an empty range has %d points", len(rows))
			}
		})
	}
}

func TestGPXIsATrackWithoutOutliers(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	stored, want := written(s.ID)
	h, _ := historyOf(t, s, stored...)
	request := wanted(s.ID)
	request.Format = format.GPX
	text := pull(t, h, request)
	parsed, err := gpx.ParseString(text)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Version != "1.1" || len(parsed.Tracks) != 1 || len(parsed.Tracks[0].Segments) != 1 || parsed.Tracks[0].Name != s.ID.String() {
		t.Fatalf("it is no track of one segment: %s", text)
	}
	type place struct {
		Time                time.Time
		Latitude, Longitude float64
		Altitude            *float64
	}
	var got, wanted []place
	for _, p := range parsed.Tracks[0].Segments[0].Points {
		place := place{Time: p.Timestamp, Latitude: p.Latitude, Longitude: p.Longitude}
		if p.Elevation.NotNull() {
			place.Altitude = new(p.Elevation.Value())
		}
		got = append(got, place)
	}
	for _, r := range want {
		if !r.Outlier {
			wanted = append(wanted, place{r.Timestamp, r.Latitude, r.Longitude, r.Altitude})
		}
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("the track differs (- want, + got):\n%s", diff)
	}
	extension, found := parsed.Tracks[0].Segments[0].Points[1].Extensions.GetNode("http://www.garmin.com/xmlschemas/TrackPointExtension/v2", "TrackPointExtension")
	if !found {
		t.Fatalf("there is no extension: %s", text)
	}
	for name, want := range map[string]string{"atemp": "-18.37", "speed": "23.45", "course": "359.9"} {
		if node, _ := extension.GetNode(name); node == nil || node.Data != want {
			t.Errorf("%s is %+v, want %s", name, node, want)
		}
	}
	request.End = 1
	if parsed, err := gpx.ParseString(pull(t, h, request)); err != nil || len(parsed.Tracks) != 1 {
		t.Errorf("an empty range is no track: %v", err)
	}
}

// TestFormatsAgree compares what ClickHouse writes with what this package writes, of many points that
// were written over and over.
func TestFormatsAgree(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 5))
	s := querytest.NewSession()
	h, db := historyOf(t, s)
	for range 6 {
		var points []schema.OwnedPoint
		for range 10_000 {
			p := querytest.Version(querytest.At(s.ID, random.Int64N(25_000)), random.Uint32N(3), schema.NotOutlier)
			// Rows of one version say the same, since a merge meanwhile may keep any of them.
			p.ReceivedAt += int64(p.Version) * p.Timestamp / 1000 % 997
			p.Outlier = schema.Outlier(p.ReceivedAt % 2)
			p.Latitude, p.Accuracy, p.Battery = int32(p.ReceivedAt%1e9), uint32(p.ReceivedAt%5000), uint16(p.ReceivedAt%10_000)
			p.Temperature = float32(p.Version)
			points = append(points, p)
		}
		querytest.Insert(t, db, points...)
	}
	for _, bucket := range []int{0, 7} {
		request := wanted(s.ID)
		request.BucketSeconds, request.Format = bucket, format.NDJSON
		want := readers[format.NDJSON](t, []byte(pull(t, h, request)))
		for _, kind := range []format.Format{format.Parquet, format.Arrow, format.CSV, format.GeoJSON} {
			request.Format = kind
			// Equality first: a difference is searched for many times as long.
			if got := readers[kind](t, []byte(pull(t, h, request))); !reflect.DeepEqual(want, got) {
				t.Errorf("%s with buckets of %d differs (- ndjson, + got):\n%.2000s", kind, bucket, cmp.Diff(want, got))
			}
		}
	}
}

// TestFilesStream covers what TestHistoryStreams does of JSON for what ClickHouse writes.
func TestFilesStream(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	h, db := historyOf(t, s, manyPoints(s)...)
	open := func(ctx context.Context, t *testing.T, kind format.Format) *history.Stream {
		t.Helper()
		request := wanted(s.ID)
		request.Format = kind
		stream, err := h.Open(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	for _, kind := range []format.Format{format.Parquet, format.Arrow, format.CSV} {
		free := func(t *testing.T) { // the places of streams, whatever became of those before
			t.Helper()
			for range 2 {
				stream := open(t.Context(), t, kind)
				defer stream.Close()
			}
		}
		t.Run(kind.String()+" in small pieces", func(t *testing.T) {
			largest, whole := 0, new(bytes.Buffer)
			written, err := writeTo(open(t.Context(), t, kind), writerFunc(func(p []byte) (int, error) {
				largest = max(largest, len(p))
				return whole.Write(p)
			}))
			if err != nil || written != int64(whole.Len()) || largest > 66<<10 {
				t.Errorf("%d of %d bytes in pieces of up to %d: %v", written, whole.Len(), largest, err)
			}
			if rows := readers[kind](t, whole.Bytes()); len(rows) != 150_000 {
				t.Errorf("%d points", len(rows))
			}
			free(t)
		})
		t.Run(kind.String()+" until its writer fails", func(t *testing.T) {
			broken := errors.New("the connection is gone")
			if _, err := writeTo(open(t.Context(), t, kind), writerFunc(func([]byte) (int, error) { return 0, broken })); !errors.Is(err, broken) {
				t.Errorf("the error is %v, want %v", err, broken)
			}
			free(t)
		})
		t.Run(kind.String()+" until its context ends", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := writeTo(open(ctx, t, kind), writerFunc(func(p []byte) (int, error) {
				cancel()
				return len(p), nil
			}))
			if !errors.Is(err, context.Canceled) || errors.Is(err, schema.Unavailable) {
				t.Errorf("the error is %v, want %v", err, context.Canceled)
			}
			free(t)
		})
		t.Run(kind.String()+" not from a ClickHouse that fails", func(t *testing.T) {
			querytest.BreakTable(t, db, "session_by_device_data_points", func() {
				for _, bucket := range []int{0, 60} {
					request := wanted(s.ID)
					request.Format, request.BucketSeconds = kind, bucket
					if _, err := h.Open(t.Context(), request); !errors.Is(err, schema.Unavailable) {
						t.Errorf("the error is %v, want %v", err, schema.Unavailable)
					}
				}
			})
			free(t)
		})
	}
}

func TestAFormatThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	request := wanted(schema.NewID())
	request.Format = format.Format(len(format.All()))
	if err := request.Validate(); schematest.InvalidField(err) != "format" {
		t.Errorf("the error is %v", err)
	}
	if request.Format.ContentType() != "" || request.Format.String() == "" {
		t.Errorf("it is called %q, of type %q", request.Format, request.Format.ContentType())
	}
}
