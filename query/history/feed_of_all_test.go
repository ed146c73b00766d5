package history_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tkrajina/gpxgo/gpx"

	"lastseen/query/history"
	"lastseen/query/history/format"
	"lastseen/query/history/stays"
	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// fleetFeed is a request of org_a for the feed of all its sessions.
func fleetFeed(scope schema.OrgScope) history.Request {
	return history.Request{
		OrgID: "org_a", AllSessions: true, Scope: scope, Order: history.OrderReceived, End: math.MaxInt64, Clusters: stays.DefaultRule(),
	}
}

// fleet are sessions of org_a, one that org_b shares with it and one that org_b keeps to itself, in this order, whose
// points arrived in the same groups.
type fleet struct {
	table    *latest.Table
	db       *schema.DB
	sessions []schema.Session
	groups   [][]schema.OwnedPoint
}

func newFleet(t *testing.T, rng *rand.Rand) *fleet {
	t.Helper()
	f := &fleet{db: schematest.Open(t)}
	f.table = latest.New(f.db, time.Now)
	schematest.ExecLocal(t, f.db, "SYSTEM STOP MERGES %s", "session_by_device_data_points")
	for i := range 5 {
		s := querytest.NewSession()
		if i >= 3 {
			s.OrgID = "org_b"
		}
		if i == 3 {
			s.SharedWithOrgIDs = []string{"org_c", "org_a"}
		}
		f.table.PutSession(s)
		f.sessions = append(f.sessions, s)
		for g, group := range arrivals(rng, s.ID) {
			for k := range group {
				group[k].OrgID = s.OrgID
			}
			if i == 0 {
				f.groups = append(f.groups, nil)
			}
			f.groups[g] = append(f.groups[g], group...)
		}
	}
	for _, group := range f.groups {
		rng.Shuffle(len(group), func(i, k int) { group[i], group[k] = group[k], group[i] })
		querytest.Insert(t, f.db, group...)
	}
	return f
}

// reader returns who reads the fleet's feeds.
func (f *fleet) reader(options history.Options) *history.Reader {
	return history.New(f.db, f.table, options)
}

// of are the places of the feed of some of the sessions.
func (f *fleet) of(sessions ...schema.Session) []row {
	var groups [][]schema.OwnedPoint
	for _, group := range f.groups {
		groups = append(groups, slices.DeleteFunc(slices.Clone(group), func(p schema.OwnedPoint) bool {
			return !slices.ContainsFunc(sessions, func(s schema.Session) bool { return s.ID == p.SessionID })
		}))
	}
	return feedOf(groups)
}

// TestTheFeedOfAllSessionsIsTheSameInEveryFormatAndInPages follows cursors, from one format to the next, through the points
// of the sessions in each scope, and finds those of no other.
func TestTheFeedOfAllSessionsIsTheSameInEveryFormatAndInPages(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	f := newFleet(t, rng)
	h := f.reader(history.Options{})
	formats := slices.Sorted(maps.Keys(readers))
	for scope, sessions := range map[schema.OrgScope][]schema.Session{
		schema.Owned: f.sessions[:3], schema.Shared: f.sessions[3:4], schema.OwnedAndShared: f.sessions[:4],
	} {
		want := f.of(sessions...)
		for _, limit := range []int{0, 29 + rng.IntN(3)} { // more arrived at one time
			request := fleetFeed(scope)
			request.Limit = limit
			same(t, fmt.Sprintf("all of scope %d by %d", scope, limit), want, followFeed(t, h, request, func() format.Format { return formats[rng.IntN(len(formats))] }))
		}
	}
	want := f.of(f.sessions[:4]...)
	for _, kind := range formats {
		request := fleetFeed(schema.OwnedAndShared)
		request.Limit = 200
		same(t, kind.String(), want, followFeed(t, h, request, func() format.Format { return kind }))
	}
	after := f.groups[4][0].ReceivedAt
	request := fleetFeed(schema.Owned)
	request.ReceivedAfter = after
	want = slices.DeleteFunc(f.of(f.sessions[:3]...), func(r row) bool { return r.Received.UnixMilli() <= after })
	same(t, "received after", want, followFeed(t, h, request, func() format.Format { return format.NDJSON }))
	request.OrgID = "org_c" // has but what is shared with it
	request.ReceivedAfter = 0
	same(t, "nothing owned", nil, followFeed(t, h, request, func() format.Format { return format.CSV }))
	request.OrgID, request.Scope = "org_d", schema.Shared
	same(t, "nothing shared", nil, followFeed(t, h, request, func() format.Format { return format.Parquet }))
}

// TestAGPXOfTheFeedHasATrackForEachStretchOfASession also where the feed was suspended.
func TestAGPXOfTheFeedHasATrackForEachStretchOfASession(t *testing.T) {
	t.Parallel()
	f := newFleet(t, rand.New(rand.NewPCG(1, 2)))
	request := fleetFeed(schema.OwnedAndShared)
	request.Format = format.GPX
	text, err := suspending(f.reader(history.Options{}), request, rand.New(rand.NewPCG(3, 4)), func() {})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := gpx.ParseBytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []row
	before := ""
	for _, track := range parsed.Tracks {
		if track.Name == before {
			t.Errorf("two tracks of the session %s follow each other", before)
		}
		before = track.Name
		for _, p := range track.Segments[0].Points {
			got = append(got, row{Session: track.Name, Timestamp: p.Timestamp, Latitude: p.Latitude, Longitude: p.Longitude})
		}
	}
	var want []row
	for _, r := range f.of(f.sessions[:4]...) {
		if !r.Outlier {
			want = append(want, row{Session: r.Session, Timestamp: r.Timestamp, Latitude: r.Latitude, Longitude: r.Longitude})
		}
	}
	same(t, "gpx", want, got)
	request.ReceivedAfter = time.Now().UnixMilli()
	if empty := pull(t, f.reader(history.Options{}), request); strings.Contains(empty, "<trk>") {
		t.Errorf("a page without points has a track: %s", empty)
	}
}

func TestASuspendedFeedOfAllSessionsIsTheSame(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	f := newFleet(t, rng)
	many := make([]schema.OwnedPoint, 8_000)
	for i := range many {
		many[i] = querytest.At(f.sessions[rng.IntN(3)].ID, int64(i))
		many[i].ReceivedAt = querytest.May2026 + rng.Int64N(50)*60_000
	}
	querytest.Insert(t, f.db, many...)
	h, suspensions := f.reader(history.Options{}), 0
	for _, kind := range []format.Format{format.JSON, format.NDJSON, format.Arrow} {
		request := fleetFeed(schema.OwnedAndShared)
		request.Format = kind
		got, err := suspending(h, request, rng, func() { suspensions++ })
		if want := pull(t, h, request); err != nil || got != want {
			t.Errorf("%v: %d bytes, want the same %d (%v)", kind, len(got), len(want), err)
		}
	}
	if suspensions < 3 {
		t.Errorf("%d suspensions in all", suspensions)
	}
}

// TestAFeedEndsWhenASessionIsNoLongerShared and not before, whatever else changes.
func TestAFeedEndsWhenASessionIsNoLongerShared(t *testing.T) {
	t.Parallel()
	f := newFleet(t, rand.New(rand.NewPCG(7, 8)))
	many := make([]schema.OwnedPoint, 5_000)
	for i := range many {
		many[i] = querytest.At(f.sessions[0].ID, int64(i))
	}
	querytest.Insert(t, f.db, many...)
	h := f.reader(history.Options{})
	unshare := func(i int) {
		s := f.sessions[i]
		s.SharedWithOrgIDs = nil
		f.table.PutSession(s)
	}
	other := f.sessions[4]
	other.SharedWithOrgIDs = []string{"org_c"}
	f.table.PutSession(other)
	for _, kind := range format.All() {
		for name, test := range map[string]struct {
			scope  schema.OrgScope
			change func()
			ends   bool
		}{
			"a session of this feed":         {schema.OwnedAndShared, func() { unshare(3) }, true},
			"another organisation's session": {schema.OwnedAndShared, func() { unshare(4) }, false},
			"a session of another scope":     {schema.Owned, func() { unshare(3) }, false},
		} {
			f.table.PutSession(f.sessions[3])
			f.table.PutSession(other)
			request := fleetFeed(test.scope)
			request.Format = kind
			stream, err := h.Open(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Next()
			test.change()
			for err == nil {
				_, err = stream.Next()
			}
			if ended := !errors.Is(err, io.EOF); ended != test.ends || ended && !errors.Is(err, schema.Busy) {
				t.Errorf("%v, %s: the end is %v", kind, name, err)
			}
			if err := stream.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestACursorOfAFeedIsGoodForItsQueryOnly(t *testing.T) {
	t.Parallel()
	f := newFleet(t, rand.New(rand.NewPCG(9, 10)))
	h := f.reader(history.Options{})
	request := fleetFeed(schema.Owned)
	request.Limit = 3
	cursor := pullPage(t, h, request).NextCursor
	ofOne := wanted(f.sessions[0].ID)
	ofOne.Order, ofOne.Limit = history.OrderReceived, 3
	cursorOfOne := pullPage(t, h, ofOne).NextCursor
	for name, change := range map[string]func(*history.Request){
		"another scope":         func(r *history.Request) { r.Scope = schema.OwnedAndShared },
		"another beginning":     func(r *history.Request) { r.ReceivedAfter = 1 },
		"another organisation":  func(r *history.Request) { r.OrgID = "org_b" },
		"a session's feed":      func(r *history.Request) { *r = ofOne; r.Cursor = cursor },
		"a cursor of a session": func(r *history.Request) { r.Cursor = cursorOfOne },
		"a changed digit":       func(r *history.Request) { r.Cursor = flip(r.Cursor, 7) },
		"a changed session":     func(r *history.Request) { r.Cursor = flip(r.Cursor, 30) },
		"a changed end":         func(r *history.Request) { r.Cursor = flip(r.Cursor, len(r.Cursor)-2) },
		"no cursor":             func(r *history.Request) { r.Cursor = "garbage" },
		"more":                  func(r *history.Request) { r.Cursor += "A" },
		"less":                  func(r *history.Request) { r.Cursor = r.Cursor[:len(r.Cursor)-1] },
	} {
		request := request
		request.Cursor = cursor
		change(&request)
		if _, err := h.Open(context.Background(), request); schematest.InvalidField(err) != "cursor" {
			t.Errorf("%s: %v, want schema.Invalid about the cursor", name, err)
		}
	}
	request.Cursor, request.Limit, request.Format = cursor, 0, format.CSV
	pull(t, h, request) // another limit and another format are fine
}

func TestTheFeedOfAllSessionsKeepsItsPromises(t *testing.T) {
	t.Parallel()
	f := newFleet(t, rand.New(rand.NewPCG(11, 12)))
	want := f.of(f.sessions[:3]...)
	follow := func(options history.Options) []row {
		return followFeed(t, f.reader(options), fleetFeed(schema.Owned), func() format.Format { return format.NDJSON })
	}
	t.Run("what is not settled is withheld", func(t *testing.T) {
		settled := receivedThrough(f.groups[6][0].ReceivedAt)
		same(t, "settled", slices.DeleteFunc(slices.Clone(want), func(r row) bool { return r.Received.UnixMilli() > int64(settled) }), follow(history.Options{Watermark: &settled}))
	})
	t.Run("a page fits the limit on points", func(t *testing.T) {
		stream, err := f.reader(history.Options{Limits: history.Limits{Points: 50}}).Open(t.Context(), fleetFeed(schema.Owned))
		if err != nil {
			t.Fatal(err)
		}
		var page bytes.Buffer
		if _, err := writeTo(stream, &page); err != nil {
			t.Fatal(err)
		}
		same(t, "limited", want, follow(history.Options{Limits: history.Limits{Points: 50}}))
	})
	t.Run("what has expired is left out", func(t *testing.T) {
		same(t, "expired", nil, follow(history.Options{Retention: 24 * time.Hour}))
	})
	t.Run("it is refused without an order of arrival and to the public", func(t *testing.T) {
		for _, change := range []func(*history.Request){
			func(r *history.Request) { r.Order = history.OrderTimestamp }, func(r *history.Request) { r.Public = true },
		} {
			request := fleetFeed(schema.Owned)
			change(&request)
			if _, err := f.reader(history.Options{}).Open(t.Context(), request); schematest.InvalidField(err) != "order" {
				t.Errorf("%+v: %v", request, err)
			}
		}
	})
}
