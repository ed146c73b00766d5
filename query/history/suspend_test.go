package history_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"lastseen/query/history"
	"lastseen/query/history/format"
	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// scattered has 20,000 points of two months in several parts, with replaced ones, outliers and late ones.
func scattered(t *testing.T, rng *rand.Rand) (*history.Reader, *schema.DB, schema.Session) {
	t.Helper()
	s := querytest.NewSession()
	h, db := historyOf(t, s)
	schematest.ExecLocal(t, db, "SYSTEM STOP MERGES %s", "session_by_device_data_points")
	var groups [4][]schema.OwnedPoint
	put := func(p schema.OwnedPoint) {
		at := rng.IntN(len(groups))
		groups[at] = append(groups[at], p)
	}
	for i := range int64(20_000) {
		p := querytest.At(s.ID, i*200)
		p.Latitude += int32(i / 1000 * 100_000) // stays of a thousand points
		p.ReceivedAt += rng.Int64N(100) * 60_000
		put(p)
		switch rng.IntN(10) {
		case 0:
			put(querytest.Version(p, 1, schema.OutlierByUser))
		case 1:
			p = querytest.Version(p, 1, schema.NotOutlier)
			p.ReceivedAt += 3_600_000
			put(p)
		}
	}
	for _, group := range groups {
		querytest.Insert(t, db, group...)
	}
	return h, db, s
}

// suspending writes a history and suspends it at some of the pieces.
func suspending(h *history.Reader, request history.Request, rng *rand.Rand, suspended func()) (string, error) {
	stream, err := h.Open(context.Background(), request)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	_, err = writeTo(stream, writerFunc(func(p []byte) (int, error) {
		out.Write(p)
		if rng.IntN(8) == 0 {
			if _, err := stream.Suspend(); err != nil {
				return 0, err
			}
			suspended()
		}
		return len(p), nil
	}))
	return out.String(), err
}

func TestASuspendedHistoryIsTheSame(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	h, _, s := scattered(t, rng)
	suspensions := 0
	for _, kind := range format.All() {
		for name, change := range map[string]func(*history.Request){
			"all":     func(*history.Request) {},
			"buckets": func(r *history.Request) { r.BucketSeconds = 450 },
			"a page":  func(r *history.Request) { r.Limit = 12_345 },
			"arrival": func(r *history.Request) { r.Order = history.OrderReceived },
		} {
			request := wanted(s.ID)
			request.Format = kind
			change(&request)
			got, err := suspending(h, request, rng, func() { suspensions++ })
			if want := pull(t, h, request); err != nil || got != want {
				t.Errorf("%s in %v: %d bytes, want the same %d (%v)", name, kind, len(got), len(want), err)
			}
		}
	}
	if suspensions < 10 {
		t.Errorf("%d suspensions in all", suspensions)
	}
}

// TestASuspendedHistoryHoldsNoQuery asks ClickHouse which statements it runs.
func TestASuspendedHistoryHoldsNoQuery(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	h, db := historyOf(t, s, manyPoints(s)...)
	stream, err := h.Open(t.Context(), wanted(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	if querytest.Running(t, db) == 0 {
		t.Error("ClickHouse runs nothing for a history that is open")
	}
	pieces := 0
	_, err = writeTo(stream, writerFunc(func(p []byte) (int, error) {
		if pieces++; pieces == 3 {
			if _, err := stream.Suspend(); err != nil {
				t.Error(err)
			}
			// A server notices that its client has left a moment later.
			querytest.AwaitNoneRunning(t, db)
		}
		return len(p), nil
	}))
	if err != nil {
		t.Error(err)
	}
}

func TestASuspendedHistoryThatCannotGoOnFails(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	h, db, s := scattered(t, rng)
	stream, err := h.Open(t.Context(), wanted(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	querytest.BreakTable(t, db, "session_by_device_data_points", func() {
		_, err = writeTo(stream, writerFunc(func(p []byte) (int, error) { _, err := stream.Suspend(); return len(p), err }))
	})
	if !errors.Is(err, schema.Unavailable) {
		t.Errorf("the error is %v, want %v", err, schema.Unavailable)
	}
	for range 2 { // as many as there are places
		next, err := h.Open(t.Context(), wanted(s.ID))
		if err != nil {
			t.Fatalf("its place is not free: %v", err)
		}
		defer next.Close()
	}
}

// fickle is access that is taken away at the moment after it was last looked at.
type fickle struct {
	history.Access
	after func() // called after the next look, with which the right ends; nil for nothing
	gone  bool
}

func (f *fickle) Exists(id schema.ID, who schema.Viewer) bool {
	if f.gone || !f.Access.Exists(id, who) {
		return false
	}
	if f.after != nil {
		f.after()
		f.gone = true
	}
	return true
}

// TestWhoLosesTheRightSeesNothingThatWasStoredAfterwards: a history that was suspended goes on just as the right is taken away and
// another point is stored.
func TestWhoLosesTheRightSeesNothingThatWasStoredAfterwards(t *testing.T) {
	t.Parallel()
	s := querytest.NewSession()
	_, db := historyOf(t, s, manyPoints(s)...)
	table := latest.New(db, time.Now)
	table.PutSession(s)
	access := &fickle{Access: table}
	h := history.New(db, access, history.Options{})
	stream, err := h.Open(t.Context(), wanted(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	var late schema.OwnedPoint
	var out bytes.Buffer
	_, err = writeTo(stream, writerFunc(func(p []byte) (int, error) {
		out.Write(p)
		_, err := stream.Suspend()
		access.after = func() { // the next point but one
			late = querytest.At(s.ID, int64(bytes.Count(out.Bytes(), []byte(`"timestamp":`))))
			late.Timestamp += 500
			querytest.Insert(t, db, late)
		}
		return len(p), err
	}))
	if !errors.Is(err, schema.NotFound) {
		t.Errorf("the history ends with %v, want that there is no such session", err)
	}
	if id := schema.AppendPointID(nil, s.ID, late.Timestamp); out.Len() == 0 || bytes.Contains(out.Bytes(), id) {
		t.Errorf("what is shown, %d bytes, has a point that was stored afterwards", out.Len())
	}
}
