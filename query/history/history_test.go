package history_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/query/history"
	"lastseen/query/history/format"
	"lastseen/query/history/stays"
	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/query/wire"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// wanted is a request of org_a for everything of a session.
func wanted(session schema.ID) history.Request {
	return history.Request{
		SessionID: session.String(), OrgID: "org_a", Start: 0, End: math.MaxInt64, Clusters: stays.DefaultRule(),
	}
}

// historyOf returns a History of a database with one session that has points.
func historyOf(tb testing.TB, s schema.Session, points ...schema.OwnedPoint) (*history.Reader, *schema.DB) {
	tb.Helper()
	db := schematest.Open(tb)
	querytest.Insert(tb, db, points...)
	table := latest.New(db, time.Now)
	table.PutSession(s)
	return history.New(db, table, history.Options{}), db
}

// writeTo writes what is left of a stream and closes it.
func writeTo(stream *history.Stream, w io.Writer) (written int64, err error) {
	defer func() { err = errors.Join(err, stream.Close()) }()
	for {
		piece, err := stream.Next()
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(piece)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
}

// pull writes a history into memory.
func pull(tb testing.TB, h *history.Reader, request history.Request) string {
	tb.Helper()
	stream, err := h.Open(context.Background(), request)
	if err != nil {
		tb.Fatal(err)
	}
	var out bytes.Buffer
	written, err := writeTo(stream, &out)
	if err != nil {
		tb.Fatal(err)
	}
	if written != int64(out.Len()) {
		tb.Errorf("it says that it wrote %d bytes, but wrote %d", written, out.Len())
	}
	return out.String()
}

func jsonOf(points ...schema.OwnedPoint) string {
	texts := make([]string, len(points))
	for i, p := range points {
		texts[i] = string(wire.AppendDataPoint(nil, &p.DataPoint))
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	stay := func(seconds int64) schema.OwnedPoint {
		p := querytest.At(s.ID, seconds)
		p.Latitude, p.Longitude = 0, 1_000_000
		return p
	}
	strayed := querytest.Version(stay(120), 1, schema.OutlierByUser)
	strayed.Latitude = 900_000_000
	points := []schema.OwnedPoint{stay(0), stay(60), strayed, stay(180), stay(360), querytest.At(s.ID, 400), querytest.At(s.ID, 460)}
	h, _ := historyOf(t, s, points...)
	const cluster = `[{"centroid_location":{"type":"Feature","geometry":{"type":"Point","coordinates":[0.1,0]},"properties":{}},` +
		`"start_timestamp":"2026-05-04T12:00:00Z","end_timestamp":"2026-05-04T12:06:00Z","point_count":4,"radius_miles":0}]`

	for _, test := range []struct {
		name   string
		change func(*history.Request)
		want   string
	}{
		{"every point, outliers flagged, and the stay without them", func(*history.Request) {},
			`{"data_points":` + jsonOf(points...) + `,"stationary_clusters":` + cluster + `}`},
		{"from the start to before the end", func(r *history.Request) { r.Start, r.End = points[1].Timestamp, points[4].Timestamp },
			`{"data_points":` + jsonOf(points[1:4]...) + `,"stationary_clusters":[]}`},
		{"the newest good point of each bucket, the stay from all points", func(r *history.Request) { r.BucketSeconds = 180 },
			`{"data_points":` + jsonOf(points[1], points[3], points[6]) + `,"stationary_clusters":` + cluster + `}`},
		{"nothing", func(r *history.Request) { r.End = 1 }, `{"data_points":[],"stationary_clusters":[]}`},
		{"no bucket", func(r *history.Request) { r.End, r.BucketSeconds = 1, 604800 }, `{"data_points":[],"stationary_clusters":[]}`},
		{"another rule", func(r *history.Request) {
			r.Start = points[5].Timestamp
			r.Clusters = stays.Rule{DistanceMeters: 1000, Minimum: time.Minute, Gap: time.Minute}
		}, `{"data_points":` + jsonOf(points[5:]...) + `,"stationary_clusters":[{"centroid_location":{"type":"Feature","geometry":{"type":"Point","coordinates":[11,48.000043]},"properties":{}},` +
			`"start_timestamp":"2026-05-04T12:06:40Z","end_timestamp":"2026-05-04T12:07:40Z","point_count":2,"radius_miles":0.00020727`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request := wanted(s.ID)
			test.change(&request)
			got := pull(t, h, request)
			if !json.Valid([]byte(got)) {
				t.Errorf("it is no JSON: %s", got)
			}
			if test.want[len(test.want)-1] != '}' { // all but the last digits of a number
				got = got[:min(len(got), len(test.want))]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the answer differs (- want, + got):\n%s", diff)
			}
		})
	}
}

func TestHistoryIsForThoseWhoMaySeeTheSession(t *testing.T) {
	t.Parallel()
	yes := true
	private, public := querytest.NewSession(), querytest.NewSession()
	private.SharedWithOrgIDs = []string{"org_b"}
	public.Public = &yes
	db := schematest.Open(t)
	table := latest.New(db, time.Now)
	table.PutSession(private)
	table.PutSession(public)
	h := history.New(db, table, history.Options{})
	for _, test := range []struct {
		name    string
		request history.Request
		found   bool
	}{
		{"the owner", history.Request{SessionID: private.ID.String(), OrgID: "org_a"}, true},
		{"one that it is shared with", history.Request{SessionID: private.ID.String(), OrgID: "org_b"}, true},
		{"another", history.Request{SessionID: private.ID.String(), OrgID: "org_c"}, false},
		{"nobody, a public one", history.Request{SessionID: public.ID.String(), Public: true}, true},
		{"nobody, one that is not, whatever is in OrgID", history.Request{SessionID: private.ID.String(), OrgID: "org_a", Public: true}, false},
		{"another, a public one", history.Request{SessionID: public.ID.String(), OrgID: "org_c"}, false},
		{"no such session", history.Request{SessionID: schema.NewID().String(), OrgID: "org_a"}, false},
		{"no id", history.Request{SessionID: "' OR 1=1", OrgID: "org_a"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.request.End, test.request.Clusters = 1, stays.DefaultRule()
			stream, err := h.Open(t.Context(), test.request)
			if stream != nil {
				defer stream.Close()
			}
			if test.found && err != nil || !test.found && !errors.Is(err, schema.NotFound) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestHistoryRequestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		field  string // empty: it is valid
		change func(*history.Request)
	}{
		{"", func(*history.Request) {}},
		{"", func(r *history.Request) { r.Start, r.End = math.MinInt64, math.MaxInt64 }},
		{"end_timestamp", func(r *history.Request) { r.End = r.Start }},
		{"end_timestamp", func(r *history.Request) { r.Start, r.End = 2, 1 }},
		{"", func(r *history.Request) { r.BucketSeconds = 604800 }},
		{"bucket_seconds", func(r *history.Request) { r.BucketSeconds = 604801 }},
		{"bucket_seconds", func(r *history.Request) { r.BucketSeconds = -1 }},
		{"stationary_distance_meters", func(r *history.Request) { r.Clusters.DistanceMeters = 0 }},
		{"stationary_distance_meters", func(r *history.Request) { r.Clusters.DistanceMeters = 1e6 + 1 }},
		{"stationary_distance_meters", func(r *history.Request) { r.Clusters.DistanceMeters = math.NaN() }},
		{"stationary_minimum_seconds", func(r *history.Request) { r.Clusters.Minimum = 0 }},
		{"stationary_minimum_seconds", func(r *history.Request) { r.Clusters.Minimum = 367 * 24 * time.Hour }},
		{"stationary_gap_seconds", func(r *history.Request) { r.Clusters.Gap = -1 }},
	} {
		request := wanted(schema.NewID())
		test.change(&request)
		err := request.Validate()
		switch {
		case test.field == "" && err != nil:
			t.Errorf("%+v: %v", request, err)
		case test.field != "" && schematest.InvalidField(err) != test.field:
			t.Errorf("%+v: the error is %v, want one of %s", request, err, test.field)
		}
	}
}

// writerFunc is an io.Writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// manyPoints is a session that takes many pieces and more than one of the engine's blocks.
func manyPoints(s schema.Session) []schema.OwnedPoint {
	points := make([]schema.OwnedPoint, 150_000)
	for i := range points {
		points[i] = querytest.At(s.ID, int64(i))
	}
	return points
}

func TestHistoryStreams(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	points := manyPoints(s)
	h, db := historyOf(t, s, points...)
	open := func(ctx context.Context, t *testing.T) *history.Stream {
		t.Helper()
		stream, err := h.Open(ctx, wanted(s.ID))
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	// All places must be free again whatever became of a stream.
	free := func(t *testing.T) {
		t.Helper()
		for range 2 {
			stream := open(t.Context(), t)
			defer stream.Close()
		}
	}

	t.Run("in small pieces that add up to the whole", func(t *testing.T) {
		var whole bytes.Buffer
		largest := 0
		_, err := writeTo(open(t.Context(), t), writerFunc(func(p []byte) (int, error) {
			largest = max(largest, len(p))
			return whole.Write(p)
		}))
		if err != nil {
			t.Fatal(err)
		}
		if largest > 66<<10 {
			t.Errorf("a piece had %d bytes", largest)
		}
		var answer struct {
			Points []wireRow `json:"data_points"`
		}
		if err := json.Unmarshal(whole.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		if len(answer.Points) != len(points) {
			t.Fatalf("it has %d points, want %d", len(answer.Points), len(points))
		}
		for i, p := range answer.Points {
			if want := string(schema.AppendPointID(nil, s.ID, points[i].Timestamp)); p.ID != want {
				t.Fatalf("point %d is %s, want %s", i, p.ID, want)
			}
		}
		free(t)
	})
	t.Run("until its writer fails", func(t *testing.T) {
		broken := errors.New("the connection is gone")
		pieces := 0
		_, err := writeTo(open(t.Context(), t), writerFunc(func(p []byte) (int, error) {
			pieces++
			return 0, broken
		}))
		if !errors.Is(err, broken) || pieces != 1 {
			t.Errorf("after %d pieces the error is %v, want %v after one", pieces, err, broken)
		}
		free(t)
	})
	t.Run("until its context ends, and leaves no whole JSON", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var partial bytes.Buffer
		_, err := writeTo(open(ctx, t), writerFunc(func(p []byte) (int, error) {
			cancel()
			return partial.Write(p)
		}))
		if !errors.Is(err, context.Canceled) || errors.Is(err, schema.Unavailable) {
			t.Errorf("the error is %v, want %v", err, context.Canceled)
		}
		if json.Valid(partial.Bytes()) {
			t.Error("what was written looks like a whole answer")
		}
		free(t)
	})
	t.Run("until it is closed", func(t *testing.T) {
		stream := open(t.Context(), t)
		if err := errors.Join(stream.Close(), stream.Close()); err != nil {
			t.Error(err)
		}
		free(t)
	})
	t.Run("not from a ClickHouse that fails", func(t *testing.T) {
		querytest.BreakTable(t, db, "session_by_device_data_points", func() {
			for _, bucket := range []int{0, 60} {
				request := wanted(s.ID)
				request.BucketSeconds = bucket
				if _, err := h.Open(t.Context(), request); !errors.Is(err, schema.Unavailable) {
					t.Errorf("the error is %v, want %v", err, schema.Unavailable)
				}
			}
		})
		free(t)
	})
	t.Run("and fails when only the clusters do", func(t *testing.T) {
		request := wanted(s.ID)
		request.BucketSeconds = 10
		stream, err := h.Open(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		var partial bytes.Buffer
		querytest.BreakTable(t, db, "session_by_device_data_points", func() {
			if _, err := writeTo(stream, &partial); !errors.Is(err, schema.Unavailable) {
				t.Errorf("the error is %v, want %v", err, schema.Unavailable)
			}
		})
		if json.Valid(partial.Bytes()) {
			t.Error("what was written looks like a whole answer")
		}
		free(t)
	})
}

// TestHistoryTakesBoundedMemory looks from time to time at what is alive while points are written that
// would take 25 MB as structs and 130 MB as JSON.
func TestHistoryTakesBoundedMemory(t *testing.T) {
	s := querytest.NewSession()
	points := make([]schema.OwnedPoint, 400_000)
	for i := range points {
		points[i] = querytest.At(s.ID, int64(i))
	}
	h, _ := historyOf(t, s, points...)
	stream, err := h.Open(t.Context(), wanted(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	alive := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before, most, pieces := alive(), uint64(0), 0
	written, err := writeTo(stream, writerFunc(func(p []byte) (int, error) {
		if pieces++; pieces%100 == 0 {
			most = max(most, alive())
		}
		return len(p), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if written < int64(len(points))*300 {
		t.Errorf("only %d bytes were written of %d points", written, len(points))
	}
	if most > before+12<<20 {
		t.Errorf("%d bytes were alive before, up to %d while it wrote", before, most)
	}
	runtime.KeepAlive(points)
}

// TestExpiredPointsAreInNoAnswer: ClickHouse drops them when it merges, which may be hours later.
func TestExpiredPointsAreInNoAnswer(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	db := schematest.Open(t)
	table := latest.New(db, time.Now)
	table.PutSession(s)
	const retention = 48 * time.Hour
	for _, age := range []time.Duration{50 * time.Hour, 49 * time.Hour, 2 * time.Hour, time.Hour} {
		p := querytest.At(s.ID, 0)
		p.Timestamp = time.Now().Add(-age).UnixMilli()
		p.ReceivedAt = p.Timestamp
		querytest.Insert(t, db, p)
	}
	for name, change := range map[string]func(*history.Request){
		"json":           func(*history.Request) {},
		"pages":          func(r *history.Request) { r.Limit = 10 },
		"buckets":        func(r *history.Request) { r.BucketSeconds = 60 },
		"the feed":       func(r *history.Request) { r.Order = history.OrderReceived },
		"expired ranges": func(r *history.Request) { r.End = time.Now().Add(-retention).UnixMilli() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, kept := range []time.Duration{0, retention} {
				h := history.New(db, table, history.Options{Retention: kept})
				request := wanted(s.ID)
				change(&request)
				want := 4
				if request.End != math.MaxInt64 {
					want -= 2
				}
				if kept > 0 {
					want -= 2
				}
				page := pullPage(t, h, request)
				if got := len(page.DataPoints); got != want {
					t.Errorf("with a retention of %v: %d points, want %d", kept, got, want)
				}
				request.Format = format.CSV
				if got := strings.Count(pull(t, h, request), "\n") - 1; got != want {
					t.Errorf("with a retention of %v: %d lines of CSV, want %d", kept, got, want)
				}
			}
		})
	}
}
