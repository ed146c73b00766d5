package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// bucketed is what a bucket's point is compared by. Times are Unix milliseconds.
type bucketed struct {
	At       int64
	Latitude float64
	ID       string
	Received int64
}

// TestBucketsAreTheSameInEveryFormatAndInPages ingests two months in several parts, with outliers and
// replaced points, and compares the buckets in JSON and in Parquet, whole and in pages, with a model.
func TestBucketsAreTheSameInEveryFormatAndInPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:07:04")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	model := s.twoMonths(rng, session)
	key, _ := s.key("org_a", schema.KindAPIKey)
	begin, end := time.Date(2026, 1, 3, 4, 5, 6, 700e6, time.UTC), time.Date(2026, 2, 26, 1, 2, 3, 0, time.UTC)
	target := fmt.Sprintf("%s?session_id=%s&start_timestamp=%s&end_timestamp=%s", pathDataPoints, session,
		begin.Format("2006-01-02T15:04:05.000Z"), end.Format(time.RFC3339))
	for _, seconds := range []int{1, 7, 60, 3600, 86400, 604800} {
		query := fmt.Sprintf("%s&bucket_seconds=%d", target, seconds)
		want := newestOf(model, begin.UnixMilli(), end.UnixMilli(), int64(seconds)*1000)
		whole := jsonBuckets(t, s.get(query, key, 200).body)
		var got []bucketed
		for _, b := range whole {
			got = append(got, bucketed{At: b.At, Latitude: b.Latitude})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d s: the buckets are not the model's (- model, + answer):\n%s", seconds, diff)
		}
		same := func(how string, other []bucketed) {
			if diff := cmp.Diff(whole, other); diff != "" {
				t.Errorf("%d s: %s is not the answer in JSON (- JSON):\n%s", seconds, how, diff)
			}
		}
		same("Parquet", parquetBuckets(t, s.get(query+"&format=parquet", key, 200).body))
		limit := 1 + len(whole)/(2+rng.IntN(5))
		for format, read := range map[string]func(testing.TB, []byte) []bucketed{"json": jsonBuckets, "parquet": parquetBuckets} {
			var all []bucketed
			for next, cursor := "first", ""; next != ""; cursor = "&cursor=" + next {
				r := s.get(fmt.Sprintf("%s&format=%s&limit=%d%s", query, format, limit, cursor), key, 200)
				page := read(t, r.body)
				if next = r.Header.Get("Next-Cursor"); len(page) != limit && (next != "" || len(page) > limit) {
					t.Fatalf("%d s: a page of %d has %d buckets", seconds, limit, len(page)) // such pages may never end
				}
				all = append(all, page...)
			}
			same(fmt.Sprintf("in pages of %d as %s", limit, format), all)
		}
	}
}

// modelPoint is what is known of a point.
type modelPoint struct {
	latitude float64
	outlier  bool
}

// twoMonths ingests points in several parts, over each other, and marks some: one in ten, the last of
// many minutes, and a whole day. It returns what counts then, by Unix milliseconds.
func (s *service) twoMonths(rng *rand.Rand, session string) map[int64]modelPoint {
	s.Helper()
	model := make(map[int64]modelPoint)
	january := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	ids := func(chosen func(at int64) bool) (names []string) {
		for at := range model {
			if chosen(at) {
				names = append(names, fmt.Sprintf("%s.%d", session, at))
				model[at] = modelPoint{model[at].latitude, true}
			}
		}
		return names
	}
	for part := range 4 {
		var lines strings.Builder
		for range 4000 { // in 1,400 hours of the two months, so that there are several in a minute and gaps
			hour := rng.Int64N(59*24/7)*7 + rng.Int64N(2)
			at := january + hour*3_600_000 + rng.Int64N(400)*500
			if part > 0 && rng.IntN(3) == 0 { // replace one
				for at = range model {
					break
				}
			}
			latitude := float64(rng.IntN(1_800_000)-900_000) / 1e4
			model[at] = modelPoint{latitude, model[at].outlier}
			fmt.Fprintf(&lines, `{"session_id":%q,"timestamp":%q,"latitude":%v,"longitude":1}`+"\n", session, time.UnixMilli(at).UTC().Format(time.RFC3339Nano), latitude)
		}
		s.ingest("org_a", lines.String())
		day := january + 20*86_400_000
		marks := ids(func(at int64) bool {
			return rng.IntN(10) == 0 || at%60_000 >= 45_000 && at/60_000%3 == 0 || at >= day && at < day+86_400_000
		})
		for chunk := range slices.Chunk(marks, 5000) {
			body, _ := json.Marshal(map[string]any{"outlier": true, "tracking_session_by_device_data_point_ids": chunk})
			r := s.post(pathOutlier, s.token("org_a", keys.RoleOperator), string(body), 200)
			if !bytes.Contains(r.body, fmt.Appendf(nil, `"successful_updates":%d`, len(chunk))) {
				s.Fatalf("%d points were marked: %s", len(chunk), r.body)
			}
		}
	}
	return model
}

// newestOf returns the newest point of each bucket of a range that is not an outlier.
func newestOf(model map[int64]modelPoint, start, end, bucket int64) (newest []bucketed) {
	for _, at := range slices.Sorted(maps.Keys(model)) {
		if at < start || at >= end || model[at].outlier {
			continue
		}
		if n := len(newest); n > 0 && newest[n-1].At/bucket == at/bucket {
			newest = newest[:n-1]
		}
		newest = append(newest, bucketed{At: at, Latitude: model[at].latitude})
	}
	return newest
}

func jsonBuckets(tb testing.TB, body []byte) (points []bucketed) {
	tb.Helper()
	var got struct {
		DataPoints []struct {
			ID         string `json:"_id"`
			Timestamp  time.Time
			ReceivedAt time.Time `json:"received_at_timestamp"`
			Location   struct {
				Geometry struct{ Coordinates []float64 }
			}
		} `json:"data_points"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		tb.Fatal(err)
	}
	for _, p := range got.DataPoints {
		points = append(points, bucketed{p.Timestamp.UnixMilli(), p.Location.Geometry.Coordinates[1], p.ID, p.ReceivedAt.UnixMilli()})
	}
	return points
}

func parquetBuckets(tb testing.TB, body []byte) (points []bucketed) {
	tb.Helper()
	batches := schematest.ReadParquet(tb, body)
	for batches.Next() {
		batch := batches.RecordBatch()
		column := func(name string) int { return batch.Schema().FieldIndices(name)[0] }
		ids, latitudes := batch.Column(column("_id")).(*array.String), batch.Column(column("latitude")).(*array.Float64)
		times, receipts := batch.Column(column("timestamp")).(*array.Timestamp), batch.Column(column("received_at_timestamp")).(*array.Timestamp)
		for i := range int(batch.NumRows()) { // both are in milliseconds
			points = append(points, bucketed{int64(times.Value(i)), latitudes.Value(i), ids.Value(i), int64(receipts.Value(i))})
		}
	}
	return points
}
