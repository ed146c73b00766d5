package latest_test

import (
	"sync"
	"testing"
	"time"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
)

// TestAChangeIsToldToThoseWhoWatchItsSessionAndNobodyElse has many watch many sessions, of which
// every other one changes.
func TestAChangeIsToldToThoseWhoWatchItsSessionAndNobodyElse(t *testing.T) {
	t.Parallel()
	const sessions, watchers = 100, 5
	table := latest.New(nil, time.Now)
	ids := make([]schema.ID, sessions)
	watches := make(map[schema.ID][]*latest.Watch)
	for i := range ids {
		s := querytest.NewSession()
		table.PutSession(s)
		ids[i] = s.ID
		for range watchers {
			watches[s.ID] = append(watches[s.ID], table.Watch([]byte(s.ID.String())))
		}
	}
	for i := 0; i < sessions; i += 2 {
		table.Publish([]schema.OwnedPoint{querytest.At(ids[i], 1), querytest.At(ids[i], 2)})
	}
	for i, id := range ids {
		for _, w := range watches[id] {
			if got, want := told(w), i%2 == 0; got != want {
				t.Fatalf("session %d: told is %v, want %v", i, got, want)
			}
			if told(w) {
				t.Fatalf("session %d: told twice of changes that it had not looked at yet", i)
			}
			w.Stop()
		}
	}
	table.Publish([]schema.OwnedPoint{querytest.At(ids[0], 3)})
	if told(watches[ids[0]][0]) {
		t.Error("a watch that was stopped is told of a change")
	}
}

func TestALatePointWakesNobody(t *testing.T) {
	t.Parallel()
	table := latest.New(nil, time.Now)
	s := querytest.NewSession()
	table.PutSession(s)
	table.Publish([]schema.OwnedPoint{querytest.At(s.ID, 1000)})
	w := table.Watch([]byte(s.ID.String()))
	defer w.Stop()
	table.Publish([]schema.OwnedPoint{querytest.At(s.ID, 1), querytest.At(s.ID, 1000), querytest.At(s.ID, 999)})
	if told(w) {
		t.Error("a watch is told of points that nobody is shown")
	}
	table.Publish([]schema.OwnedPoint{querytest.At(s.ID, 1), querytest.At(s.ID, 1001)})
	if !told(w) {
		t.Error("a watch is not told of a newer point among late ones")
	}
}

func TestAWatchIsToldOfMarksAndOfAccess(t *testing.T) {
	t.Parallel()
	table := latest.New(nil, time.Now)
	s := querytest.NewSession()
	table.PutSession(s)
	w := table.Watch([]byte(s.ID.String()))
	defer w.Stop()
	for name, change := range map[string]func(){
		"a session's change": func() { table.PutSession(s) },
		"a mark": func() {
			if err := table.EndMark(t.Context(), []schema.Checkpoint{{Point: querytest.At(s.ID, 1).DataPoint}}); err != nil {
				t.Error(err)
			}
		},
	} {
		if change(); !told(w) {
			t.Errorf("%s is not told", name)
		}
	}
	if table.Watch([]byte("no id")) != nil {
		t.Error("there is a watch of a text that is no id")
	}
}

// TestNoChangeIsMissedBetweenTheWatchAndTheLook follows a session that changes as fast as it can, by
// watches that begin and end meanwhile, of whom nobody must wait for ever.
func TestNoChangeIsMissedBetweenTheWatchAndTheLook(t *testing.T) {
	t.Parallel()
	const points, followers = int64(2000), 4
	table := latest.New(nil, time.Now)
	s := querytest.NewSession()
	table.PutSession(s)
	text := []byte(s.ID.String())
	last := querytest.At(s.ID, points).Timestamp
	var group sync.WaitGroup
	for range followers {
		group.Go(func() {
			for seen := int64(0); seen < last; {
				seen = awaitNewer(table, text, seen)
			}
		})
	}
	for n := range points {
		table.Publish([]schema.OwnedPoint{querytest.At(s.ID, n+1)})
	}
	group.Wait()
}

// awaitNewer returns the timestamp of a session's newest point when that is later than seen.
func awaitNewer(table *latest.Table, session []byte, seen int64) int64 {
	w := table.Watch(session)
	defer w.Stop()
	var p schema.DataPoint
	for {
		if table.Lookup(session, "org_a", &p) == latest.Found && p.Timestamp > seen {
			return p.Timestamp
		}
		<-w.Changed()
	}
}

// told reports whether a watch has been told of a change since it was last asked.
func told(w *latest.Watch) bool {
	select {
	case <-w.Changed():
		return true
	default:
		return false
	}
}
