package latest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

func TestEndMarkKeepsWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	id := f.session[0]
	points := f.receive(querytest.At(id, 1))
	f.store(points)
	f.table.Publish(points)
	f.beginMark(id)
	f.store([]schema.OwnedPoint{f.marked(id, 1, schema.OutlierByUser)})
	newest, err := f.db.NewestPoints(t.Context(), []schema.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	points = f.receive(querytest.At(id, 2))
	f.store(points)
	f.table.Publish(points)
	if err := f.table.EndMark(t.Context(), newest); err != nil {
		t.Fatal(err)
	}
	f.check()
}

func TestFlush(t *testing.T) {
	t.Parallel()
	saved := func(t *testing.T, db *schema.DB) map[schema.ID]int64 {
		t.Helper()
		seconds := make(map[schema.ID]int64)
		if err := db.LoadCheckpoints(t.Context(), func(c schema.Checkpoint) {
			seconds[c.Point.SessionID] = (c.Point.Timestamp - querytest.May2026) / 1000
		}); err != nil {
			t.Fatal(err)
		}
		return seconds
	}
	watermark := func(t *testing.T, db *schema.DB) int64 {
		t.Helper()
		state, err := db.LastSeenState(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return state.Watermark
	}

	t.Run("saves what was published before it was called, however many call", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 0)
		ids := make([]schema.ID, 16)
		failures := make(chan error, len(ids))
		for i := range ids {
			ids[i] = schema.NewID()
			go func() {
				var failure error
				for second := range int64(10) {
					f.table.Publish([]schema.OwnedPoint{querytest.At(ids[i], second)})
					failure = errors.Join(failure, f.table.Flush(context.Background()))
				}
				failures <- failure
			}()
		}
		for range ids {
			if err := <-failures; err != nil {
				t.Fatal(err)
			}
		}
		want := make(map[schema.ID]int64)
		for _, id := range ids {
			want[id] = 9
		}
		if diff := cmp.Diff(want, saved(t, f.db)); diff != "" {
			t.Errorf("saved seconds differ (- want, + got):\n%s", diff)
		}
	})
	t.Run("saves many sessions, the watermark with the last", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 0)
		points := make([]schema.OwnedPoint, 120_000)
		for i := range points {
			points[i] = querytest.At(schema.NewID(), 1)
		}
		f.table.Publish(points)
		f.flush()
		if n := len(saved(t, f.db)); n != len(points) {
			t.Errorf("%d sessions were saved, want %d", n, len(points))
		}
		if got := watermark(t, f.db); got != querytest.May2026 {
			t.Errorf("the watermark is %d, want %d", got, querytest.May2026)
		}
	})
	t.Run("keeps the watermark when it is cut short", func(t *testing.T) {
		t.Parallel()
		db := schematest.Open(t)
		ctx, cancel := context.WithCancel(t.Context())
		var looks atomic.Int64 // at the clock, once it counts
		looks.Store(-1 << 30)
		table := latest.New(db, func() time.Time {
			// A save looks at its beginning and before each insert.
			if looks.Add(1) == 3 {
				cancel()
			}
			return time.UnixMilli(querytest.May2026)
		})
		points := make([]schema.OwnedPoint, 120_000)
		for i := range points {
			points[i] = querytest.At(schema.NewID(), 1)
		}
		table.Publish(points)
		looks.Store(0)
		if err := table.Flush(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("the error is %v, want %v", err, context.Canceled)
		}
		if n := len(saved(t, db)); n == 0 || n == len(points) {
			t.Errorf("%d sessions were saved, want a part of %d", n, len(points))
		}
		if got := watermark(t, db); got != 0 {
			t.Errorf("the watermark is %d, want none", got)
		}
		if err := table.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(saved(t, db)); n != len(points) {
			t.Errorf("later %d sessions were saved, want %d", n, len(points))
		}
		if got := watermark(t, db); got != querytest.May2026 {
			t.Errorf("later the watermark is %d, want %d", got, querytest.May2026)
		}
	})
	t.Run("keeps what it could not save, and the watermark", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 0)
		id := schema.NewID()
		f.table.Publish([]schema.OwnedPoint{querytest.At(id, 1)})
		f.flush()
		f.clock.Advance(time.Hour)
		f.table.Publish([]schema.OwnedPoint{querytest.At(id, 2)})
		querytest.BreakTable(t, f.db, "session_by_device_last_seen", func() {
			if err := f.table.Flush(t.Context()); !errors.Is(err, schema.Unavailable) {
				t.Errorf("the error is %v, want %v", err, schema.Unavailable)
			}
			if err := f.table.BeginMark(t.Context(), []schema.ID{id}); !errors.Is(err, schema.Unavailable) {
				t.Errorf("the error of a mark is %v, want %v", err, schema.Unavailable)
			}
		})
		if got := watermark(t, f.db); got != querytest.May2026 {
			t.Errorf("the watermark is %d, want %d", got, querytest.May2026)
		}
		f.flush()
		if diff := cmp.Diff(map[schema.ID]int64{id: 2}, saved(t, f.db)); diff != "" {
			t.Errorf("saved seconds differ (- want, + got):\n%s", diff)
		}
		if got, want := watermark(t, f.db), f.clock.Now().UnixMilli(); got != want {
			t.Errorf("the watermark is %d, want %d", got, want)
		}
	})
	t.Run("ends with its context while another saves", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f.table.Publish([]schema.OwnedPoint{querytest.At(schema.NewID(), 1)})
		if err := f.table.Flush(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want %v", err, context.Canceled)
		}
	})
}

func TestRunSavesByItself(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	asked := make(chan struct{}) // once whenever a save looks at the clock
	running := false
	table := latest.New(db, func() time.Time {
		if running {
			asked <- struct{}{}
		}
		return time.UnixMilli(querytest.May2026)
	})
	id := schema.NewID()
	table.Publish([]schema.OwnedPoint{querytest.At(id, 7)})
	running = true
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		table.Run(ctx)
	}()
	// A save looks at its beginning and before its insert; the third look is the next one's.
	for range 3 {
		<-asked
	}
	found := false
	if err := db.LoadCheckpoints(t.Context(), func(c schema.Checkpoint) { found = c.Point.SessionID == id }); err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Error("the session was not saved")
	}
	cancel()
	<-ended
}
