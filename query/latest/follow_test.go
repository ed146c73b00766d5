package latest_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// follower is a client that follows a table and applies what it gets.
type follower struct {
	org   string
	scope schema.OrgScope
	place *latest.Place
	has   map[schema.ID]int64 // timestamps
}

// read goes on from where it was, for some pages; it reports whether it has all.
func (f *follower) read(t *testing.T, table *latest.Table, limit, pages int) bool {
	t.Helper()
	following, reset := table.Follow(f.org, f.scope, f.place)
	if f.place == nil || reset {
		f.has = map[schema.ID]int64{}
	}
	for range pages {
		once := map[schema.ID]bool{}
		note := func(id schema.ID) {
			if once[id] {
				t.Errorf("session %s comes twice in an answer", id)
			}
			once[id] = true
		}
		given, more := following.Read(limit, func(p *schema.DataPoint) {
			note(p.SessionID)
			f.has[p.SessionID] = p.Timestamp
		}, func(id schema.ID) {
			note(id)
			delete(f.has, id)
		})
		if given != len(once) || given > limit {
			t.Errorf("%d sessions were given as %d, of %d", len(once), given, limit)
		}
		place := following.Place()
		if f.place = &place; !more {
			return true
		}
	}
	return false
}

func TestFollowersEndWithTheNewestPointsOfWhatTheySee(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	var clock atomic.Int64
	clock.Store(querytest.May2026)
	table := latest.New(nil, func() time.Time { return time.UnixMilli(clock.Load()) })
	sessions := make([]schema.Session, 60)
	for i := range sessions {
		sessions[i] = querytest.NewSession()
		sessions[i].OrgID = []string{"org_a", "org_b"}[i%2]
		table.PutSession(sessions[i])
	}
	var followers []*follower
	for _, org := range []string{"org_a", "org_b", "org_c"} {
		for _, scope := range []schema.OrgScope{schema.OwnedAndShared, schema.Owned, schema.Shared} {
			followers = append(followers, &follower{org: org, scope: scope})
		}
	}
	latestOf := map[schema.ID]int64{} // seconds; absent: nothing to show
	change := func(s *schema.Session, second int64) {
		switch rng.IntN(14) {
		case 0:
			s.SharedWithOrgIDs = append(slices.Clone(s.SharedWithOrgIDs), []string{"org_c", "org_d"}[rng.IntN(2)])
		case 1:
			s.SharedWithOrgIDs = nil
		case 2:
			at := time.UnixMilli(clock.Load() + rng.Int64N(3000)).UTC()
			s.TerminationScheduledFor = &at
		case 3:
			s.TerminationScheduledFor = nil
		case 4:
			if rng.IntN(4) == 0 {
				at := time.UnixMilli(clock.Load()).UTC()
				s.TerminatedAt = &at
			}
		case 5: // all its points turn out to be outliers, or one is shown again
			c := schema.Checkpoint{Point: querytest.At(s.ID, 0).DataPoint, NewestTimestamp: querytest.May2026 + second*1000}
			if rng.IntN(2) == 0 {
				c.Point.Outlier = schema.OutlierByUser
				delete(latestOf, s.ID)
			} else {
				latestOf[s.ID] = 0
			}
			if err := table.EndMark(t.Context(), []schema.Checkpoint{c}); err != nil {
				t.Error(err)
			}
			return
		case 6:
			clock.Add(rng.Int64N(500))
			return
		default:
			latestOf[s.ID] = second
			table.Publish([]schema.OwnedPoint{querytest.At(s.ID, second)})
			return
		}
		table.PutSession(*s)
	}
	for second := int64(1); second < 4000; second++ {
		change(&sessions[rng.IntN(len(sessions))], second)
		if rng.IntN(5) == 0 {
			f := followers[rng.IntN(len(followers))]
			if rng.IntN(30) == 0 {
				f.place = nil
			}
			f.read(t, table, 1+rng.IntN(10), 1+rng.IntN(3))
		}
	}
	for _, f := range followers {
		f.read(t, table, 7, 1000)
		want := map[schema.ID]int64{}
		for i := range sessions {
			s := &sessions[i]
			second, shown := latestOf[s.ID]
			_, ended := s.EndedAt(time.UnixMilli(clock.Load()))
			owned, shared := s.OrgID == f.org, slices.Contains(s.SharedWithOrgIDs, f.org)
			if shown && !ended && (owned && f.scope != schema.Shared || shared && f.scope != schema.Owned) {
				want[s.ID] = querytest.May2026 + second*1000
			}
		}
		if len(want) == 0 && f.org == "org_a" && f.scope == schema.Owned {
			t.Error("the trial ends with nothing to see")
		}
		for id, at := range want {
			if f.has[id] != at {
				t.Errorf("%s %d has %d of %s, want %d", f.org, f.scope, f.has[id], id, at)
			}
		}
		for id := range f.has {
			if _, there := want[id]; !there {
				t.Errorf("%s %d has %s, which it may not see or which has ended", f.org, f.scope, id)
			}
		}
	}
}

func TestAFollowerIsWokenByWhateverChangesWhatItSees(t *testing.T) {
	t.Parallel()
	table := latest.New(nil, time.Now)
	session, scheduled, foreign := querytest.NewSession(), querytest.NewSession(), querytest.NewSession()
	foreign.OrgID = "org_b"
	for _, s := range []schema.Session{session, scheduled, foreign} {
		table.PutSession(s)
		table.Publish([]schema.OwnedPoint{querytest.At(s.ID, 1)})
	}
	f, _ := table.Follow("org_a", schema.OwnedAndShared, nil)
	changed := f.Watch()
	defer f.Stop()
	read := func() (points, gone []schema.ID) {
		f.Read(100, func(p *schema.DataPoint) { points = append(points, p.SessionID) }, func(id schema.ID) { gone = append(gone, id) })
		return points, gone
	}
	read()
	quiet := func(what string) {
		select {
		case <-changed:
			t.Errorf("woken by %s", what)
		default:
		}
	}
	quiet("nothing")
	table.Publish([]schema.OwnedPoint{querytest.At(foreign.ID, 2), querytest.At(session.ID, 0)})
	quiet("another organisation's point, and a late one")
	table.Publish([]schema.OwnedPoint{querytest.At(session.ID, 2), querytest.At(session.ID, 3)})
	<-changed
	quiet("one publication twice")
	if points, gone := read(); !slices.Equal(points, []schema.ID{session.ID}) || gone != nil {
		t.Errorf("%v and %v, want the session", points, gone)
	}
	foreign.SharedWithOrgIDs = []string{"org_a"}
	table.PutSession(foreign)
	<-changed
	if points, _ := read(); !slices.Equal(points, []schema.ID{foreign.ID}) {
		t.Errorf("%v, want what is shared now", points)
	}
	foreign.SharedWithOrgIDs = nil
	table.PutSession(foreign)
	<-changed
	if _, gone := read(); !slices.Equal(gone, []schema.ID{foreign.ID}) {
		t.Errorf("%v are gone, want what is no longer shared", gone)
	}
}

func TestAFollowerHearsWhenAScheduledTerminationComesDue(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	table := latest.New(db, time.Now)
	session := querytest.NewSession()
	at := time.Now().Add(150 * time.Millisecond)
	session.TerminationScheduledFor = &at
	table.PutSession(session)
	table.Publish([]schema.OwnedPoint{querytest.At(session.ID, 1)})
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	running.Go(func() { table.Run(ctx) })
	f, _ := table.Follow("org_a", schema.Owned, nil)
	changed := f.Watch()
	defer f.Stop()
	if given, _ := f.Read(10, func(*schema.DataPoint) {}, func(schema.ID) { t.Error("it is gone at once") }); given != 1 {
		t.Fatalf("%d sessions to begin with", given)
	}
	<-changed
	gone := 0
	f.Read(10, func(*schema.DataPoint) {}, func(schema.ID) { gone++ })
	if gone != 1 {
		t.Errorf("%d are gone", gone)
	}
}

func TestAPlaceOfAnotherTableBeginsAnew(t *testing.T) {
	t.Parallel()
	session := querytest.NewSession()
	make := func() *latest.Table {
		table := latest.New(nil, time.Now)
		table.PutSession(session)
		table.Publish([]schema.OwnedPoint{querytest.At(session.ID, 1)})
		return table
	}
	before := &follower{org: "org_a"}
	before.read(t, make(), 10, 10)
	following, reset := make().Follow("org_a", schema.OwnedAndShared, before.place)
	if given, _ := following.Read(10, func(*schema.DataPoint) {}, func(schema.ID) {}); !reset || given != 1 {
		t.Errorf("reset: %v, with %d sessions", reset, given)
	}
}
