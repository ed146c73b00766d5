package history_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/tkrajina/gpxgo/gpx"

	"lastseen/query/history"
	"lastseen/query/history/format"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// TestTheFeedIsTheSameInEveryFormatAndInPages stores points of two months late, again, replaced and
// marked, in parts that ClickHouse must not merge meanwhile, and follows the feed's cursors in each
// format and from one format to the next.
func TestTheFeedIsTheSameInEveryFormatAndInPages(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := querytest.NewSession()
	h, db := historyOf(t, s)
	schematest.ExecLocal(t, db, "SYSTEM STOP MERGES %s", "session_by_device_data_points")
	groups := arrivals(rng, s.ID)
	for _, group := range groups {
		querytest.Insert(t, db, group...)
	}
	want := feedOf(groups)
	if len(want) < 60 || slices.IsSortedFunc(want, func(a, b row) int { return a.Timestamp.Compare(b.Timestamp) }) {
		t.Fatalf("%d points, or none is late", len(want))
	}
	for _, limit := range []int{0, 5, 31} {
		request := wanted(s.ID)
		request.Order, request.Limit = history.OrderReceived, limit
		for kind := range readers {
			same(t, fmt.Sprintf("%s by %d", kind, limit), want, followFeed(t, h, request, func() format.Format { return kind }))
		}
		formats := slices.Sorted(maps.Keys(readers))
		same(t, fmt.Sprintf("all by %d", limit), want, followFeed(t, h, request, func() format.Format { return formats[rng.IntN(len(formats))] }))
		var track []row
		for _, r := range want {
			if !r.Outlier {
				track = append(track, row{Timestamp: r.Timestamp, Latitude: r.Latitude, Longitude: r.Longitude})
			}
		}
		same(t, fmt.Sprintf("gpx by %d", limit), track, followFeed(t, h, request, func() format.Format { return format.GPX }))
	}
}

func same(t *testing.T, how string, want, got []row) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%s: the feed differs (- want, + got):\n%.3000s", how, diff)
	}
}

// arrivals are groups of points that arrived at one time each. Some points are older than those before
// them, some come again in another version, at their old place for a mark, and some rows are written
// twice. Each group ends with the newest point so far, so that no two versions of a point are neighbours.
func arrivals(rng *rand.Rand, session schema.ID) (groups [][]schema.OwnedPoint) {
	const lastOfMay = 27 * 86400 // after may2026, at noon
	var stored []schema.OwnedPoint
	for g := range int64(12) {
		received := querytest.May2026 + 1000*(lastOfMay+100_000+g)
		var group []schema.OwnedPoint
		for range 6 {
			fresh := querytest.At(session, lastOfMay+43_200-600+rng.Int64N(1200))
			fresh.ReceivedAt = received
			if known := slices.IndexFunc(stored, func(p schema.OwnedPoint) bool { return p.Timestamp == fresh.Timestamp }); known >= 0 {
				continue // it would be a version of another point
			}
			group = append(group, fresh)
		}
		for _, i := range rng.Perm(len(stored))[:min(len(stored), 6)] { // each once: an insert keeps but one version
			p := &stored[i]
			switch rng.IntN(4) {
			case 0: // a mark
				*p = querytest.Version(*p, p.Version+1, schema.OutlierByUser)
			case 1: // other values
				*p = querytest.Version(*p, p.Version+1, p.Outlier)
				p.ReceivedAt, p.Latitude = received, p.Latitude+1
			case 2: // the same row at a later place
				p.ReceivedAt = received
			}
			group = append(group, *p)
		}
		stored = append(stored, group...)
		slices.SortFunc(stored, func(a, b schema.OwnedPoint) int {
			return cmp.Or(cmp.Compare(a.Timestamp, b.Timestamp), -cmp.Compare(a.Version, b.Version))
		})
		stored = slices.CompactFunc(stored, func(a, b schema.OwnedPoint) bool { return a.Timestamp == b.Timestamp })
		newest := querytest.At(session, lastOfMay+50_000+g)
		newest.ReceivedAt = received
		group = append(group, newest)
		rng.Shuffle(len(group), func(i, k int) { group[i], group[k] = group[k], group[i] })
		groups = append(groups, group)
	}
	return groups
}

// feedOf are the places of the order of arrival, with the version that counts at each.
func feedOf(groups [][]schema.OwnedPoint) (rows []row) {
	places := map[schema.Receipt]schema.OwnedPoint{}
	for _, p := range slices.Concat(groups...) {
		place := schema.Receipt{ReceivedAt: p.ReceivedAt, Session: p.SessionID, Timestamp: p.Timestamp}
		if known, ok := places[place]; !ok || p.Version > known.Version {
			places[place] = p
		}
	}
	for _, p := range places {
		rows = append(rows, rowOf(&p.DataPoint))
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.Session, b.Session), a.Timestamp.Compare(b.Timestamp))
	})
	return rows
}

// followFeed pulls pages, each in the format that next names, until one is empty.
func followFeed(t *testing.T, h *history.Reader, request history.Request, next func() format.Format) (rows []row) {
	t.Helper()
	for {
		request.Format = next()
		stream, err := h.Open(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if _, err := writeTo(stream, &text); err != nil {
			t.Fatal(err)
		}
		var page []row
		if request.Format == format.GPX {
			page = readTrack(t, text.Bytes())
		} else {
			page = readers[request.Format](t, text.Bytes())
		}
		if request.Limit > 0 && len(page) > request.Limit {
			t.Fatalf("%d points in a page of %d", len(page), request.Limit)
		}
		rows = append(rows, page...)
		if stream.NextCursor() == request.Cursor { // it stays where it is at the end
			return rows
		}
		request.Cursor = stream.NextCursor()
	}
}

// readTrack reads what GPX says of a point's place and time.
func readTrack(t *testing.T, text []byte) (rows []row) {
	t.Helper()
	parsed, err := gpx.ParseBytes(text)
	if err != nil || len(parsed.Tracks) != 1 || len(parsed.Tracks[0].Segments) != 1 {
		t.Fatalf("it is no track of one segment: %v: %s", err, text)
	}
	for _, p := range parsed.Tracks[0].Segments[0].Points {
		rows = append(rows, row{Timestamp: p.Timestamp, Latitude: p.Latitude, Longitude: p.Longitude})
	}
	return rows
}

// TestTheFeedGivesEachVersionItsPlaceInEveryFormat also where two versions of a point are neighbours.
func TestTheFeedGivesEachVersionItsPlaceInEveryFormat(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	h, db := historyOf(t, s)
	schematest.ExecLocal(t, db, "SYSTEM STOP MERGES %s", "session_by_device_data_points")
	first := querytest.At(s.ID, 0)
	second := querytest.Version(first, 1, schema.NotOutlier)
	second.ReceivedAt, second.Latitude = first.ReceivedAt+5000, first.Latitude+1
	querytest.Insert(t, db, first)
	querytest.Insert(t, db, second)
	want := []row{rowOf(&first.DataPoint), rowOf(&second.DataPoint)}
	for _, limit := range []int{0, 1} {
		request := wanted(s.ID)
		request.Order, request.Limit = history.OrderReceived, limit
		for kind := range readers {
			same(t, fmt.Sprintf("%s by %d", kind, limit), want, followFeed(t, h, request, func() format.Format { return kind }))
		}
	}
}
