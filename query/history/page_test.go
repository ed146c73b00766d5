package history_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/google/go-cmp/cmp"

	"lastseen/query/history"
	"lastseen/query/history/format"
	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// historyPage is an answer in JSON.
type historyPage struct {
	DataPoints []json.RawMessage `json:"data_points"`
	Clusters   []json.RawMessage `json:"stationary_clusters"`
	NextCursor string            `json:"next_cursor"`
}

func pullPage(tb testing.TB, h *history.Reader, request history.Request) historyPage {
	tb.Helper()
	var page historyPage
	if err := json.Unmarshal([]byte(pull(tb, h, request)), &page); err != nil {
		tb.Fatal(err)
	}
	return page
}

// follow pulls pages of random sizes and returns them as one.
func follow(tb testing.TB, h *history.Reader, request history.Request) historyPage {
	tb.Helper()
	whole := historyPage{DataPoints: []json.RawMessage{}, Clusters: []json.RawMessage{}}
	for {
		request.Limit = 1 + rand.IntN(9)
		page := pullPage(tb, h, request)
		if len(page.DataPoints) > request.Limit {
			tb.Fatalf("%d points in a page of %d", len(page.DataPoints), request.Limit)
		}
		whole.DataPoints = append(whole.DataPoints, page.DataPoints...)
		whole.Clusters = append(whole.Clusters, page.Clusters...)
		if page.NextCursor == "" || request.Order == history.OrderReceived && len(page.DataPoints) == 0 {
			return whole
		}
		request.Cursor = page.NextCursor
	}
}

// pagedHistory has a session with stays, replaced points and outliers. Every third point arrived late.
func pagedHistory(tb testing.TB) (*history.Reader, schema.Session) {
	tb.Helper()
	s := querytest.NewSession()
	var points []schema.OwnedPoint
	for i := range int64(60) {
		p := querytest.At(s.ID, i*20)
		p.Latitude = 480_000_000
		if i%3 == 0 {
			p.ReceivedAt += 1_000_000
		}
		points = append(points, p)
		switch i % 7 {
		case 2:
			p = querytest.Version(p, 1, schema.NotOutlier)
			p.Longitude++
			p.ReceivedAt += 2_000_000
			points = append(points, p)
		case 4, 5:
			points = append(points, querytest.Version(p, 1, schema.OutlierByUser))
		}
	}
	rand.Shuffle(len(points), func(i, k int) { points[i], points[k] = points[k], points[i] })
	h, db := historyOf(tb, s, points[:40]...)
	querytest.Insert(tb, db, points[40:]...) // a second part, so that versions are not all merged
	return h, s
}

func TestPagesConcatenateToTheWhole(t *testing.T) {
	t.Parallel()
	h, s := pagedHistory(t)
	for _, bucket := range []int{0, 1, 45, 60, 600} {
		request := wanted(s.ID)
		request.BucketSeconds = bucket
		want := pullPage(t, h, request)
		if len(want.Clusters) == 0 || want.NextCursor != "" {
			t.Fatalf("the whole has the clusters %s and the cursor %q", want.Clusters, want.NextCursor)
		}
		for range 5 {
			if diff := cmp.Diff(want, follow(t, h, request)); diff != "" {
				t.Fatalf("with buckets of %d s the pages differ from the whole (- whole, + pages):\n%s", bucket, diff)
			}
		}
	}
}

func TestTheFeedEndsWithWhatIsStored(t *testing.T) {
	t.Parallel()
	h, s := pagedHistory(t)
	request := wanted(s.ID)
	want := pullPage(t, h, request)
	request.Order = history.OrderReceived
	pages := follow(t, h, request)
	type identity struct {
		ID string `json:"_id"`
	}
	latest := make(map[string]string)
	for _, point := range pages.DataPoints {
		var id identity
		if err := json.Unmarshal(point, &id); err != nil {
			t.Fatal(err)
		}
		latest[id.ID] = string(point)
	}
	stored := make(map[string]string)
	for _, point := range want.DataPoints {
		var id identity
		if err := json.Unmarshal(point, &id); err != nil {
			t.Fatal(err)
		}
		stored[id.ID] = string(point)
	}
	if diff := cmp.Diff(stored, latest); diff != "" {
		t.Errorf("the last versions in the feed are not what is stored (- stored, + feed):\n%s", diff)
	}
	if len(pages.Clusters) != 0 {
		t.Errorf("the feed has clusters: %s", pages.Clusters)
	}
}

// receivedThrough is how far a writer of a test has got.
type receivedThrough int64

func (r *receivedThrough) ReceivedThrough() int64 { return int64(*r) }
func (r *receivedThrough) Marked() uint64         { return 0 }

func TestTheFeedWithholdsWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	db := schematest.Open(t)
	querytest.Insert(t, db, querytest.At(s.ID, 0), querytest.At(s.ID, 1), querytest.At(s.ID, 2))
	table := latest.New(db, time.Now)
	table.PutSession(s)
	settled := receivedThrough(querytest.At(s.ID, 1).ReceivedAt)
	h := history.New(db, table, history.Options{Watermark: &settled})
	request := wanted(s.ID)
	request.Order = history.OrderReceived
	page := pullPage(t, h, request)
	if len(page.DataPoints) != 2 || page.NextCursor == "" {
		t.Fatalf("%d points and the cursor %q, want the 2 settled ones", len(page.DataPoints), page.NextCursor)
	}
	request.Cursor = page.NextCursor
	if page = pullPage(t, h, request); len(page.DataPoints) != 0 || page.NextCursor == "" {
		t.Fatalf("an empty page has %d points and the cursor %q", len(page.DataPoints), page.NextCursor)
	}
	settled = receivedThrough(querytest.At(s.ID, 2).ReceivedAt)
	request.Cursor = page.NextCursor
	if page = pullPage(t, h, request); len(page.DataPoints) != 1 {
		t.Errorf("%d points, want the one that is settled now", len(page.DataPoints))
	}
}

// TestTheFeedIsBoundedWithoutALimit: what it gives at once is sorted, so a long history comes in pages
// whatever was asked for.
func TestTheFeedIsBoundedWithoutALimit(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	h, db := historyOf(t, s)
	for part := range int64(4) {
		points := make([]schema.OwnedPoint, history.MaxPageLimit/4)
		for i := range points {
			points[i] = querytest.At(s.ID, int64(i)*4+part)
		}
		querytest.Insert(t, db, points...)
	}
	querytest.Insert(t, db, querytest.At(s.ID, history.MaxPageLimit+7))
	request := wanted(s.ID)
	request.Order, request.Format = history.OrderReceived, format.Parquet
	for _, want := range []int{history.MaxPageLimit, 1, 0} {
		stream, err := h.Open(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		var page bytes.Buffer
		if _, err := writeTo(stream, &page); err != nil {
			t.Fatal(err)
		}
		parquet, err := file.NewParquetReader(bytes.NewReader(page.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if got := parquet.NumRows(); got != int64(want) {
			t.Fatalf("a page has %d points, want %d", got, want)
		}
		request.Cursor = stream.NextCursor()
	}
}

func TestAPageOfTheFeedFitsTheLimitOnPoints(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	db := schematest.Open(t)
	querytest.Insert(t, db, querytest.At(s.ID, 0), querytest.At(s.ID, 1), querytest.At(s.ID, 2))
	table := latest.New(db, time.Now)
	table.PutSession(s)
	h := history.New(db, table, history.Options{Limits: history.Limits{Points: 2}})
	request := wanted(s.ID)
	request.Order, request.Format = history.OrderReceived, format.NDJSON
	for _, want := range []int{2, 1, 0} {
		stream, err := h.Open(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		var page bytes.Buffer
		if _, err := writeTo(stream, &page); err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(page.Bytes(), []byte("\n")); got != want {
			t.Fatalf("a page has %d points, want %d", got, want)
		}
		request.Cursor = stream.NextCursor()
	}
}

func TestACursorIsGoodForItsQueryOnly(t *testing.T) {
	t.Parallel()
	h, s := pagedHistory(t)
	request := wanted(s.ID)
	request.Limit = 3
	cursor := pullPage(t, h, request).NextCursor
	for name, change := range map[string]func(*history.Request){
		"another start":   func(r *history.Request) { r.Start++ },
		"another end":     func(r *history.Request) { r.End-- },
		"buckets":         func(r *history.Request) { r.BucketSeconds = 60 },
		"another order":   func(r *history.Request) { r.Order = history.OrderReceived },
		"a changed digit": func(r *history.Request) { r.Cursor = flip(r.Cursor, 7) },
		"a changed end":   func(r *history.Request) { r.Cursor = flip(r.Cursor, len(r.Cursor)-2) },
		"no cursor":       func(r *history.Request) { r.Cursor = "garbage" },
		"more":            func(r *history.Request) { r.Cursor += "A" },
	} {
		request := request
		request.Cursor = cursor
		change(&request)
		_, err := h.Open(context.Background(), request)
		if schematest.InvalidField(err) != "cursor" {
			t.Errorf("%s: %v, want schema.Invalid about the cursor", name, err)
		}
	}
	request.Cursor, request.Limit, request.Format = cursor, 0, format.CSV
	pull(t, h, request) // another limit and another format are fine
}

func flip(text string, i int) string {
	changed := []byte(text)
	changed[i] ^= 1
	return string(changed)
}

func TestAHistoryPastALimitIsRefused(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	db := schematest.Open(t)
	querytest.Insert(t, db, querytest.At(s.ID, 0), querytest.At(s.ID, 1), querytest.At(s.ID, 2))
	table := latest.New(db, time.Now)
	table.PutSession(s)
	for name, limits := range map[string]history.Limits{
		"points": {Points: 2}, "bytes": {Bytes: 100}, "time": {Time: 1},
	} {
		h := history.New(db, table, history.Options{Limits: limits})
		for _, as := range format.All() {
			for kind, change := range map[string]func(*history.Request){
				"points": func(*history.Request) {}, "buckets": func(r *history.Request) { r.BucketSeconds = 1 },
				"feed": func(r *history.Request) { r.Order, r.Limit = history.OrderReceived, 3 },
			} {
				request := wanted(s.ID)
				request.Format = as
				change(&request)
				stream, err := h.Open(context.Background(), request)
				if err == nil {
					_, err = writeTo(stream, io.Discard)
				}
				if schematest.InvalidField(err) != "limit" {
					t.Errorf("%s, %v of %s: %v, want schema.Invalid", name, kind, as, err)
				}
			}
		}
	}
}

func TestAFileWithTooManyPointsBreaksOff(t *testing.T) {
	t.Parallel()
	const n = 100_000
	s := querytest.NewSession()
	points := make([]schema.OwnedPoint, n)
	for i := range points {
		points[i] = querytest.At(s.ID, int64(i))
	}
	db := schematest.Open(t)
	querytest.Insert(t, db, points...)
	querytest.Insert(t, db, points[:1000]...) // of these two rows are stored, and one of each counts
	table := latest.New(db, time.Now)
	table.PutSession(s)
	end := map[format.Format]string{format.Parquet: "PAR1", format.Arrow: "\xff\xff\xff\xff\x00\x00\x00\x00"}
	for _, most := range []int64{n, n - 1} {
		for kind, mark := range end {
			h := history.New(db, table, history.Options{Limits: history.Limits{Points: most}})
			request := wanted(s.ID)
			request.Format = kind
			stream, err := h.Open(context.Background(), request)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			_, err = writeTo(stream, &out)
			switch refused := schematest.InvalidField(err) == "limit"; {
			case most == n && err != nil:
				t.Errorf("%v of as many points as there may be: %v", kind, err)
			case most < n && (!refused || out.Len() == 0):
				t.Errorf("%v of a point too many: %v after %d bytes, want schema.Invalid half way", kind, err, out.Len())
			case bytes.HasSuffix(out.Bytes(), []byte(mark)) == refused:
				t.Errorf("%v: after %v the last bytes are %q", kind, err, out.Bytes()[out.Len()-12:])
			}
		}
	}
	if stats := db.Stats()[0]; stats.Failed != 0 {
		t.Errorf("%d queries count as failures of ClickHouse", stats.Failed)
	}
}
