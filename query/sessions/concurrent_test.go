package sessions_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"lastseen/query/querytest"
	"lastseen/query/sessions"
	"lastseen/schema"
)

// TestListsWhileEverythingChanges: however many write and read at the same time, nobody is shown what was never to be
// seen, and what stays as it is is in every list.
func TestListsWhileEverythingChanges(t *testing.T) {
	t.Parallel()
	s := newService()
	stays := populate(rand.New(rand.NewPCG(6, 1)), s)
	var hidden []schema.Session
	for range 50 {
		session := randomSession(rand.New(rand.NewPCG(7, 1)), s.clock.Now())
		session.OrgID, session.SharedWithOrgIDs = "org_b", []string{"org_c"}
		hidden = append(hidden, session)
	}
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for n := range 3 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 2))
			for i := range 400 {
				session := hidden[i*3%48+n] // of one session, one writer after the other
				session = changed(random, session, s.clock.Now())
				session.SharedWithOrgIDs = []string{"org_c", "org_d"}[:random.IntN(3)]
				s.put(session)
				s.see(session.ID)
				s.see(stays[random.IntN(len(stays))].ID)
			}
		})
		readers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 3))
			for {
				select {
				case <-done:
					return
				default:
				}
				by, descending := sessions.Sort(random.IntN(4)), random.IntN(2) == 0
				page := s.list(t, "org_a", sessions.ListRequest{SortBy: by, Descending: descending, Page: 1, PageSize: 1000})
				if page.TotalCount != len(stays) || len(page.Items) != len(stays) {
					t.Errorf("a list has %d items of %d, want %d", len(page.Items), page.TotalCount, len(stays))
					return
				}
				for _, view := range s.list(t, "org_c", sessions.ListRequest{Page: 1, PageSize: 1000}).Items {
					if !slices.Equal(view.SharedWithOrgIDs, []string{"org_c"}) {
						t.Errorf("org_c sees with whom else a session is shared: %v", view.SharedWithOrgIDs)
					}
				}
				if _, err := s.Typeahead("org_c", "a", schema.OwnedAndShared, 5); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

// TestAListKnowsEveryPointThatWasAcknowledgedBeforeIt: however many lists take over at the same time what others wrote.
func TestAListKnowsEveryPointThatWasAcknowledgedBeforeIt(t *testing.T) {
	t.Parallel()
	s := newService()
	all := populate(rand.New(rand.NewPCG(8, 1)), s)
	begin := s.clock.Now()
	var everybody sync.WaitGroup
	for n := range 4 {
		everybody.Go(func() {
			for i := range 300 {
				session, at := all[(4*i+n)%len(all)], begin.Add(time.Duration(i+1)*time.Second)
				p := querytest.At(session.ID, 0)
				p.Timestamp = at.UnixMilli()
				s.table.Publish([]schema.OwnedPoint{p})
				device := session.DeviceID.String()
				request := sessions.ListRequest{SortBy: sessions.ByLastSeenAt, Descending: true, Page: 1, PageSize: 1000}
				request.Filter.LastSeenAt.From = at
				if i%2 == 0 {
					request.Filter.DeviceID = &device
				}
				page, err := s.List("org_a", request)
				if err != nil || !slices.ContainsFunc(page.Items, func(v sessions.View) bool { return v.ID == session.ID }) {
					t.Errorf("a point at %v is not in a list that begins after it, of %d sessions: %v", at, page.TotalCount, err)
					return
				}
			}
		})
	}
	everybody.Wait()
}
