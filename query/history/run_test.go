package history_test

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/query/history"
	"lastseen/query/history/format"
	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// writing is the watermark of a process that has written everything and marks points.
type writing struct{ marked atomic.Uint64 }

func (w *writing) ReceivedThrough() int64 { return time.Now().UnixMilli() }
func (w *writing) Marked() uint64         { return w.marked.Load() }

// busyDay has more points of some sessions than three of the smallest pages for which a query goes on.
func busyDay(t *testing.T) (*latest.Table, *schema.DB, []schema.OwnedPoint) {
	t.Helper()
	db := schematest.Open(t)
	table := latest.New(db, time.Now)
	points := make([]schema.OwnedPoint, 185_000)
	sessions := make([]schema.Session, 20)
	for i := range sessions {
		sessions[i] = querytest.NewSession()
		table.PutSession(sessions[i])
	}
	for i := range points {
		points[i] = querytest.At(sessions[i%len(sessions)].ID, int64(i/len(sessions)))
		points[i].ReceivedAt = querytest.May2026 + int64(i*7919%50_000)*10
	}
	querytest.Insert(t, db, points[:100_000]...)
	querytest.Insert(t, db, points[100_000:]...)
	return table, db, points
}

// feedPages pulls the pages of a feed as CSV; between is called after each.
func feedPages(t *testing.T, h *history.Reader, write func(*history.Stream, io.Writer) error, between func(page int)) (pages []string) {
	t.Helper()
	request := fleetFeed(schema.Owned)
	request.Limit, request.Format = 50_000, format.CSV
	for {
		stream, err := h.Open(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		var page bytes.Buffer
		if err := write(stream, &page); err != nil {
			t.Fatal(err)
		}
		if strings.Count(page.String(), "\n") == 1 {
			return pages
		}
		pages = append(pages, page.String())
		request.Cursor = stream.NextCursor()
		between(len(pages))
	}
}

func whole(stream *history.Stream, w io.Writer) error {
	_, err := writeTo(stream, w)
	return err
}

// TestAQueryThatGoesOnFromPageToPageGivesTheSame as one for each page, also when the client is slow, asks twice, or points
// are marked between two pages.
func TestAQueryThatGoesOnFromPageToPageGivesTheSame(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	table, db, points := busyDay(t)
	alone := history.New(db, table, history.Options{}) // does not know of marks, and so begins each page anew
	want := feedPages(t, alone, whole, func(int) {})
	if len(want) != 4 {
		t.Fatalf("%d pages", len(want))
	}
	writer := new(writing)
	h := history.New(db, table, history.Options{Watermark: writer})
	equal := func(how string, got []string) {
		t.Helper()
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Fatalf("%s: of %d pages the %d. differs", how, len(got), i+1)
			}
		}
	}
	equal("in one go", feedPages(t, h, whole, func(int) {}))
	noRoom := history.New(db, table, history.Options{Watermark: writer, Reserve: math.MaxInt64})
	equal("sorted by ClickHouse", feedPages(t, noRoom, whole, func(int) {}))
	if err := noRoom.Close(); err != nil {
		t.Error(err)
	}
	equal("slowly", feedPages(t, h, func(stream *history.Stream, w io.Writer) error {
		return whole(stream, writerFunc(func(p []byte) (int, error) {
			if rng.IntN(100) == 0 {
				if _, err := stream.Suspend(); err != nil {
					return 0, err
				}
			}
			return w.Write(p)
		}))
	}, func(int) {}))
	again := fleetFeed(schema.Owned)
	again.Limit, again.Format = 50_000, format.CSV
	equal("with other requests in between", feedPages(t, h, whole, func(page int) {
		if page == 2 && pull(t, h, again) != want[0] {
			t.Error("the first page differs when it is asked for again")
		}
	}))
	onThird := slices.DeleteFunc(points, func(p schema.OwnedPoint) bool {
		return p.ReceivedAt < querytest.May2026+300_000 || p.ReceivedAt > querytest.May2026+380_000
	})
	equal("with marks in between", feedPages(t, h, whole, func(page int) {
		if page > 2 {
			return
		}
		querytest.Insert(t, db, querytest.Version(onThird[page], 1, schema.OutlierByUser))
		writer.marked.Add(1)
		if page == 2 {
			want = feedPages(t, alone, whole, func(int) {})
		}
	}))
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// sorting counts the files in a folder that have no name and are open.
func sorting(t *testing.T, folder string) (open int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(files) == 0 {
		t.Skip("which files are open cannot be told here")
	}
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && strings.HasPrefix(to, folder+"/") {
			open++
		}
	}
	return open
}

// TestARunThatNobodyGoesOnWithEnds when the next page is not asked for, when the client leaves within a page, and when the
// service stops, whether it is sorted here or by ClickHouse.
func TestARunThatNobodyGoesOnWithEnds(t *testing.T) {
	t.Parallel()
	table, db, _ := busyDay(t)
	for _, reserve := range []int64{0, math.MaxInt64} {
		folder := t.TempDir()
		h := history.New(db, table, history.Options{Watermark: new(writing), Folder: folder, Reserve: reserve})
		request := fleetFeed(schema.Owned)
		request.Limit, request.Format = 50_000, format.CSV
		awaitEnd := func() {
			t.Helper()
			querytest.AwaitNoneRunning(t, db)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for sorting(t, folder) > 0 {
				select {
				case <-tick.C:
				case <-t.Context().Done():
					t.Fatal("a file that a feed was sorted in stays open")
				}
			}
		}
		pull(t, h, request)
		pulled := time.Now()
		if reserve == 0 && sorting(t, folder) == 0 && time.Since(pulled) < 3*time.Second {
			t.Error("no file waits for the next page")
		}
		// On a server, and after a while, it may be through already.
		if reserve > 0 && querytest.Running(t, db) == 0 && schematest.Layout() == schematest.Embedded && time.Since(pulled) < 3*time.Second {
			t.Error("no query waits for the next page")
		}
		awaitEnd()

		stream, err := h.Open(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Next(); err != nil {
			t.Error(err)
		}
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
		awaitEnd()

		pull(t, h, request)
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		awaitEnd()
		pull(t, h, request) // one that was open
		awaitEnd()
	}
}
