package latest_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
)

// TestManyAreLookedUpLikeOne asks for sessions of all kinds at once, doubled and in any order, and compares with one after the other.
func TestManyAreLookedUpLikeOne(t *testing.T) {
	t.Parallel()
	table := latest.New(nil, time.Now)
	var ids []schema.ID
	for i := range 500 {
		s := querytest.NewSession()
		if i%3 == 0 {
			s.SharedWithOrgIDs = []string{"org_b"}
		}
		if i%5 != 0 {
			table.PutSession(s)
		}
		if i%7 != 0 {
			p := querytest.At(s.ID, int64(i))
			p.Temperature = 21 // which, unlike none, is equal to itself
			table.Publish([]schema.OwnedPoint{p})
		}
		ids = append(ids, s.ID, schema.NewID())
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	ids = append(ids, ids[:100]...)
	for _, org := range []string{"org_a", "org_b", "org_c"} {
		before, sights := table.Stats(), make([]latest.Sight, len(ids))
		table.LookupEach(ids, org, sights)
		after := table.Stats()
		var found [latest.Found + 1]uint64
		for i, id := range ids {
			var p schema.DataPoint
			status := table.Lookup([]byte(id.String()), org, &p)
			found[status]++
			if sights[i].Status != status || status == latest.Found && sights[i].Point != p {
				t.Fatalf("%s sees %+v of %s among many, and %v, %+v alone", org, sights[i], id, status, p)
			}
		}
		counted := [...]uint64{after.Misses - before.Misses, after.Empty - before.Empty, after.Hits - before.Hits}
		if counted != found {
			t.Errorf("%s: %v were counted of %v", org, counted, found)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	table := latest.New(nil, time.Now)
	yes, no := true, false
	private, shared, public, empty := querytest.NewSession(), querytest.NewSession(), querytest.NewSession(), querytest.NewSession()
	private.Public = &no
	shared.SharedWithOrgIDs = []string{"org_b", "org_c"}
	public.Public = &yes
	unknown, nobodys := schema.NewID(), schema.NewID()
	for _, s := range []schema.Session{private, shared, public, empty} {
		table.PutSession(s)
	}
	for _, id := range []schema.ID{private.ID, shared.ID, public.ID, nobodys} {
		table.Publish([]schema.OwnedPoint{querytest.At(id, 1)})
	}

	for _, test := range []struct {
		name      string
		sessionID string
		orgID     string // empty: nobody, who sees what is public
		want      latest.Status
	}{
		{"the owner sees it", private.ID.String(), "org_a", latest.Found},
		{"the owner sees that there is no point", empty.ID.String(), "org_a", latest.NoPoint},
		{"another organisation does not", private.ID.String(), "org_b", latest.NotFound},
		{"nor an organisation whose name begins alike", private.ID.String(), "org_", latest.NotFound},
		{"nor that it has no point", empty.ID.String(), "org_b", latest.NotFound},
		{"one that it is shared with does", shared.ID.String(), "org_c", latest.Found},
		{"one that it is not shared with does not", shared.ID.String(), "org_d", latest.NotFound},
		{"another organisation does not see a public one by its key", public.ID.String(), "org_b", latest.NotFound},
		{"nobody sees a public one", public.ID.String(), "", latest.Found},
		{"nobody sees one that is not", private.ID.String(), "", latest.NotFound},
		{"nobody sees one of which it is unknown", shared.ID.String(), "", latest.NotFound},
		{"there is no such session", unknown.String(), "org_a", latest.NotFound},
		{"points alone make no session", nobodys.String(), "org_a", latest.NotFound},
		{"upper case", strings.ToUpper(private.ID.String()), "org_a", latest.Found},
		{"no id", "", "org_a", latest.NotFound},
		{"half an id", private.ID.String()[:12], "org_a", latest.NotFound},
		{"an id and more", private.ID.String() + "0", "org_a", latest.NotFound},
		{"no hexadecimal digits", "zzzzzzzzzzzzzzzzzzzzzzzz", "org_a", latest.NotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			var p schema.DataPoint
			got := table.LookupPublic([]byte(test.sessionID), &p)
			if test.orgID != "" {
				got = table.Lookup([]byte(test.sessionID), test.orgID, &p)
			}
			if got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	t.Run("an organisation without a name sees nothing", func(t *testing.T) {
		var p schema.DataPoint
		for _, id := range []schema.ID{private.ID, nobodys, unknown} {
			if got := table.Lookup([]byte(id.String()), "", &p); got != latest.NotFound {
				t.Errorf("got %v", got)
			}
		}
	})
	t.Run("access follows the session", func(t *testing.T) {
		var p schema.DataPoint
		s := querytest.NewSession()
		s.SharedWithOrgIDs = []string{"org_b"}
		s.Public = &yes
		table.PutSession(s)
		text := []byte(s.ID.String())
		if table.Lookup(text, "org_b", &p) != latest.NoPoint || table.LookupPublic(text, &p) != latest.NoPoint {
			t.Error("before the change it is not seen")
		}
		s.SharedWithOrgIDs, s.Public = nil, nil
		table.PutSession(s)
		if table.Lookup(text, "org_b", &p) != latest.NotFound || table.LookupPublic(text, &p) != latest.NotFound {
			t.Error("after the change it is still seen")
		}
	})
}

func TestPublish(t *testing.T) {
	t.Parallel()
	const outlier, good = schema.OutlierByUser, schema.NotOutlier
	id := schema.NewID()
	moved := querytest.At(id, 10)
	moved.Latitude, moved.Version, moved.ReceivedAt = 1, 1, moved.ReceivedAt+5
	receivedEarlier := querytest.At(id, 10)
	receivedEarlier.ReceivedAt--
	for _, test := range []struct {
		name       string
		points     []schema.OwnedPoint
		want       *schema.OwnedPoint
		wantNewest int64 // seconds
	}{
		{"the newest is shown", []schema.OwnedPoint{querytest.At(id, 1), querytest.At(id, 3), querytest.At(id, 2)}, new(querytest.At(id, 3)), 3},
		{"a repeat changes nothing", []schema.OwnedPoint{querytest.At(id, 10), querytest.At(id, 10)}, new(querytest.At(id, 10)), 10},
		{"a higher version replaces", []schema.OwnedPoint{querytest.At(id, 10), moved}, &moved, 10},
		{"a lower version that comes late does not", []schema.OwnedPoint{moved, querytest.At(id, 10)}, &moved, 10},
		{"of equal versions the one received first counts", []schema.OwnedPoint{querytest.At(id, 10), receivedEarlier, querytest.At(id, 10)}, &receivedEarlier, 10},
		{"an outlier is not shown but is the newest", []schema.OwnedPoint{querytest.At(id, 1), querytest.Version(querytest.At(id, 5), 1, outlier)}, new(querytest.At(id, 1)), 5},
		{"outliers alone show nothing", []schema.OwnedPoint{querytest.Version(querytest.At(id, 5), 1, outlier), querytest.Version(querytest.At(id, 6), 0, outlier)}, nil, 6},
		{"a good point shows over newer outliers", []schema.OwnedPoint{querytest.Version(querytest.At(id, 5), 1, outlier), querytest.At(id, 2)}, new(querytest.At(id, 2)), 5},
		{"a point that was unmarked shows", []schema.OwnedPoint{querytest.Version(querytest.At(id, 5), 1, outlier), querytest.Version(querytest.At(id, 5), 2, good)}, new(querytest.Version(querytest.At(id, 5), 2, good)), 5},
		{"a point that was marked does not", []schema.OwnedPoint{querytest.At(id, 5), querytest.Version(querytest.At(id, 5), 1, outlier)}, nil, 5},
		{"not even when it comes again", []schema.OwnedPoint{querytest.Version(querytest.At(id, 5), 1, outlier), querytest.At(id, 5)}, nil, 5},
		{"points before 1970 are points", []schema.OwnedPoint{querytest.At(id, -querytest.May2026/1000-10), querytest.At(id, -querytest.May2026/1000-20)}, new(querytest.At(id, -querytest.May2026/1000-10)), -querytest.May2026/1000 - 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			table := latest.New(nil, time.Now)
			s := querytest.NewSession()
			s.ID = id
			table.PutSession(s)
			if _, known := table.LastKnown(id, new(schema.DataPoint)); known {
				t.Error("a session without points has a newest timestamp")
			}
			for _, p := range test.points { // one by one, and access in between does not disturb
				table.Publish([]schema.OwnedPoint{p})
				table.PutSession(s)
			}
			querytest.WantShown(t, table, id, test.want)
			if got, known := table.LastKnown(id, new(schema.DataPoint)); !known || got != querytest.May2026+test.wantNewest*1000 {
				t.Errorf("the newest timestamp is %d, %v; want %d", got, known, querytest.May2026+test.wantNewest*1000)
			}
		})
	}
}

// TestOfManyPointsAtOnceTheNewestIsShown publishes so many that two processors share them, with those of each session anywhere.
func TestOfManyPointsAtOnceTheNewestIsShown(t *testing.T) {
	t.Parallel()
	table := latest.New(nil, time.Now)
	const sessions, each = 300, 20
	var points []schema.OwnedPoint
	var ids []schema.ID
	for range sessions {
		s := querytest.NewSession()
		table.PutSession(s)
		ids = append(ids, s.ID)
		for i := range each {
			points = append(points, querytest.At(s.ID, int64(i)))
		}
	}
	rand.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	if err := table.Publish(points); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		var p schema.DataPoint
		want := querytest.At(id, each-1).Timestamp
		if status := table.Lookup([]byte(id.String()), "org_a", &p); status != latest.Found || p.Timestamp != want {
			t.Fatalf("%v is %v at %d, want its newest point, at %d", id, status, p.Timestamp, want)
		}
	}
}

// TestLastSeenHoldsEverySession fills a table well beyond the first sizes of its parts.
func TestLastSeenHoldsEverySession(t *testing.T) {
	t.Parallel()
	table := latest.New(nil, time.Now)
	random := rand.New(rand.NewPCG(1, 1))
	want := make(map[schema.ID]schema.OwnedPoint)
	for i := range 100_000 {
		s := querytest.NewSession()
		p := querytest.At(s.ID, int64(i))
		p.Latitude, p.Longitude, p.Altitude = int32(random.Uint32()), int32(random.Uint32()), int32(random.Uint32())
		p.Accuracy, p.Temperature = random.Uint32(), random.Float32()
		p.Speed, p.Heading, p.Battery = uint16(random.Uint32()), uint16(random.Uint32()), uint16(random.Uint32())
		p.Version = random.Uint32()
		table.PutSession(s)
		table.Publish([]schema.OwnedPoint{p})
		want[s.ID] = p
	}
	if table.Len() != len(want) {
		t.Errorf("it holds %d sessions, want %d", table.Len(), len(want))
	}
	for id, p := range want {
		var got schema.DataPoint
		if status := table.Lookup([]byte(id.String()), "org_a", &got); status != latest.Found || got != p.DataPoint {
			t.Fatalf("got %v, %+v; want %+v", status, got, p.DataPoint)
		}
	}
}

// TestFresh has many publishers and pollers on few sessions, while others grow the table: no poll
// sees an older point than one that was published before the poll began, nor a mixture of two.
func TestFresh(t *testing.T) {
	t.Parallel()
	const sessions, rounds = 8, 4000
	table := latest.New(nil, time.Now)
	var published [sessions]atomic.Int64 // seconds of the newest point whose Publish has returned
	var ids [sessions]schema.ID
	for i := range ids {
		s := querytest.NewSession()
		ids[i] = s.ID
		table.PutSession(s)
	}
	var writers, pollers sync.WaitGroup
	var done atomic.Bool
	for w := range 4 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 7))
			for n := range int64(rounds) {
				i := random.IntN(sessions)
				second := n - random.Int64N(50) // also late ones
				p := querytest.At(ids[i], second)
				p.Longitude, p.ReceivedAt, p.Version = int32(second), second, uint32(second)
				table.Publish([]schema.OwnedPoint{p})
				for old := published[i].Load(); old < second && !published[i].CompareAndSwap(old, second); old = published[i].Load() {
				}
				table.PutSession(querytest.NewSession())
			}
		})
	}
	for range 4 {
		pollers.Go(func() {
			var texts [sessions][]byte
			for i, id := range ids {
				texts[i] = []byte(id.String())
			}
			for !done.Load() {
				for i := range ids {
					before := published[i].Load()
					var p schema.DataPoint
					status := table.Lookup(texts[i], "org_a", &p)
					if before > 0 && (status != latest.Found || p.Timestamp < querytest.May2026+before*1000) {
						t.Errorf("the look-up answers %v, %+v, though second %d was published before", status, p, before)
						return
					}
					second := (p.Timestamp - querytest.May2026) / 1000
					if status == latest.Found && (int64(p.Longitude) != second || p.ReceivedAt != second || p.Version != uint32(second)) {
						t.Errorf("a mixture of points: %+v", p)
						return
					}
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	pollers.Wait()
}

func TestLookupAllocatesNothing(t *testing.T) {
	table := latest.New(nil, time.Now)
	full, empty := querytest.NewSession(), querytest.NewSession()
	full.SharedWithOrgIDs = []string{"org_b"}
	table.PutSession(full)
	table.PutSession(empty)
	table.Publish([]schema.OwnedPoint{querytest.At(full.ID, 1)})
	for _, test := range []struct {
		name, sessionID, orgID string
		want                   latest.Status
	}{
		{"hit", full.ID.String(), "org_a", latest.Found},
		{"hit of a shared session", full.ID.String(), "org_b", latest.Found},
		{"no point", empty.ID.String(), "org_a", latest.NoPoint},
		{"another organisation", full.ID.String(), "org_c", latest.NotFound},
		{"not found", schema.NewID().String(), "org_a", latest.NotFound},
		{"no id", "nonsense", "org_a", latest.NotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := []byte(test.sessionID)
			var p schema.DataPoint
			if n := testing.AllocsPerRun(100, func() {
				if got := table.Lookup(id, test.orgID, &p); got != test.want {
					t.Errorf("got %v, want %v", got, test.want)
				}
				table.LookupPublic(id, &p)
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// TestPublishedPointsAreCopied shows that the caller may reuse what it published.
func TestPublishedPointsAreCopied(t *testing.T) {
	t.Parallel()
	table := latest.New(nil, time.Now)
	s := querytest.NewSession()
	s.SharedWithOrgIDs = []string{"org_b"}
	table.PutSession(s)
	points := []schema.OwnedPoint{querytest.At(s.ID, 1)}
	table.Publish(points)
	points[0].Latitude++
	s.SharedWithOrgIDs[0] = "org_c"
	var p schema.DataPoint
	if table.Lookup([]byte(s.ID.String()), "org_b", &p) != latest.Found {
		t.Error("the session's organisations were not copied")
	}
	want := querytest.At(s.ID, 1).DataPoint
	if diff := cmp.Diff(want, p, querytest.SameTemperature); diff != "" {
		t.Errorf("the point was not copied (- want, + got):\n%s", diff)
	}
}

func TestASessionThatIsNotThereIsNotFoundBesideThoseThatAre(t *testing.T) {
	t.Parallel()
	table := latest.New(nil, time.Now)
	for range 2000 {
		s := querytest.NewSession()
		s.Public = new(true)
		table.PutSession(s)
		table.Publish([]schema.OwnedPoint{querytest.At(s.ID, 1)})
	}
	for range 2000 {
		id := schema.NewID()
		var p schema.DataPoint
		own, public := schema.Viewer{OrgID: "org_a"}, schema.Viewer{Public: true}
		if table.Peek(id, "org_a", &p) != latest.NotFound || table.LookupPublic([]byte(id.String()), &p) != latest.NotFound || table.Exists(id, own) || table.Exists(id, public) {
			t.Fatalf("session %s is found, and was never put", id)
		}
	}
}
