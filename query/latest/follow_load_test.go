package latest_test

import (
	"context"
	"sync"
	"testing"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/schema"
)

func TestFollowersSeeEverySessionThatWasPutAroundALoad(t *testing.T) {
	t.Parallel()
	const sessions, puts = 400, 40 // by which the load is over, whichever is slower
	f := newFleet(t, 0)
	all := make([]schema.Session, sessions)
	var points []schema.OwnedPoint
	for i := range all {
		all[i] = querytest.NewSession()
		all[i].SharedWithOrgIDs = []string{"org_b"}[:i%2]
		points = append(points, querytest.At(all[i].ID, int64(i)))
	}
	f.store(f.receive(points...))
	f.table = latest.New(f.db, f.clock.Now)
	f.table.PutSessions(all[:100])

	var putting sync.WaitGroup
	putting.Go(func() {
		for some := range puts {
			from := 100 + 200/puts*some
			f.table.PutSessions(all[from : from+200/puts])
		}
	})
	if err := f.table.Load(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	putting.Wait()
	f.table.PutSessions(all[300:])

	for org, want := range map[string]int{"org_a": sessions, "org_b": sessions / 2} {
		client := &follower{org: org}
		for !client.read(t, f.table, 1000, 10) {
		}
		if len(client.has) != want {
			t.Errorf("who follows %s has %d sessions, want %d", org, len(client.has), want)
		}
	}
}

// TestFollowersSeeWhatIsPutAfterALoadThatFailed: a node whose load was cut short may be given what there is by another one.
func TestFollowersSeeWhatIsPutAfterALoadThatFailed(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	f.table = latest.New(f.db, f.clock.Now)
	ended, end := context.WithCancel(t.Context())
	end()
	if err := f.table.Load(ended, nil); err == nil {
		t.Fatal("a load without time succeeds")
	}
	session := querytest.NewSession()
	f.table.PutSession(session)
	if err := f.table.Publish(f.receive(querytest.At(session.ID, 1))); err != nil {
		t.Fatal(err)
	}
	session.SharedWithOrgIDs = []string{"org_b"}
	f.table.PutSession(session)
	client := &follower{org: "org_b"}
	for !client.read(t, f.table, 1000, 10) {
	}
	if len(client.has) != 1 {
		t.Errorf("with whom the session was shared then has %d sessions, want it", len(client.has))
	}
}
