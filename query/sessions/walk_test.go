package sessions_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"lastseen/query/sessions"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

var sorts = map[string]sessions.Sort{
	"created": sessions.ByCreatedAt, "last seen": sessions.ByLastSeenAt,
	"scheduled": sessions.ByTerminationScheduledFor, "terminated": sessions.ByTerminatedAt,
}

// eachOrder runs a test for every sort in both directions.
func eachOrder(t *testing.T, test func(t *testing.T, request sessions.ListRequest)) {
	for name, by := range sorts {
		for _, descending := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, descending %v", name, descending), func(t *testing.T) {
				t.Parallel()
				test(t, sessions.ListRequest{SortBy: by, Descending: descending, Page: 1, PageSize: 7})
			})
		}
	}
}

// follow follows the cursors of a list and counts how often each session comes; between is called between two pages.
func follow(t *testing.T, s *service, orgID string, request sessions.ListRequest, between func(page sessions.Page)) map[schema.ID]int {
	t.Helper()
	given := map[schema.ID]int{}
	for pages := 0; ; pages++ {
		page := s.list(t, orgID, request)
		for _, view := range page.Items {
			given[view.ID]++
		}
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			return given
		}
		if pages > 10_000 {
			t.Fatal("the walk does not end")
		}
		between(page)
	}
}

// populate makes a hundred sessions of one organisation, some of another that are shared, some seen, some ended.
func populate(random *rand.Rand, s *service) (all []schema.Session) {
	for i := range 100 {
		session := randomSession(random, s.clock.Now())
		session.OrgID, session.SharedWithOrgIDs = "org_a", nil
		if i%4 == 0 {
			session.OrgID, session.SharedWithOrgIDs = "org_b", []string{"org_a"}
		}
		session.TerminatedAt = nil
		s.put(session)
		if i%3 > 0 {
			s.see(session.ID)
		}
		s.clock.Advance(time.Duration(random.IntN(2)) * time.Second)
		all = append(all, session)
	}
	return all
}

// happen has some sessions seen, ended, rescheduled and made.
func happen(random *rand.Rand, s *service, all []schema.Session) {
	for range 12 {
		s.clock.Advance(time.Duration(random.IntN(3)) * time.Second)
		i := random.IntN(len(all))
		switch random.IntN(8) {
		case 0:
			all[i].TerminatedAt = new(s.clock.Now())
			s.put(all[i])
		case 1:
			all[i].TerminationScheduledFor = new(s.clock.Now().Add(time.Duration(random.IntN(60)-20) * time.Second))
			s.put(all[i])
		case 2:
			if random.IntN(4) == 0 {
				added := all[i]
				added.ID, added.CreatedAt = schema.NewID(), s.clock.Now()
				s.put(added)
			}
		default:
			s.see(all[i].ID)
		}
	}
}

// TestFollowingTheCursorGivesEverySessionOnce while sessions are made, ended, rescheduled and seen, and also to who asks
// for pages again whose answers were lost.
func TestFollowingTheCursorGivesEverySessionOnce(t *testing.T) {
	t.Parallel()
	eachOrder(t, func(t *testing.T, request sessions.ListRequest) {
		for seed := range uint64(5) {
			random, s := rand.New(rand.NewPCG(seed, 1)), newService()
			all := populate(random, s)
			given := follow(t, s, "org_a", request, func(page sessions.Page) {
				happen(random, s, all)
				if random.IntN(3) == 0 { // an answer that was lost
					lost := request
					lost.Cursor = page.NextCursor
					s.list(t, "org_a", lost)
					happen(random, s, all)
				}
			})
			for _, session := range all {
				if given[session.ID] != 1 {
					t.Errorf("seed %d: %v came %d times", seed, session.ID, given[session.ID])
				}
			}
		}
	})
}

// TestACursorOutlivesTheProcess: with another reader that has the key, nothing is left out, and nothing that stayed where
// it was comes twice.
func TestACursorOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	eachOrder(t, func(t *testing.T, request sessions.ListRequest) {
		random, s := rand.New(rand.NewPCG(2, 1)), newService()
		all := populate(random, s)
		s.clock.Advance(time.Hour)
		moved := map[schema.ID]bool{}
		given := follow(t, s, "org_a", request, func(page sessions.Page) {
			i := random.IntN(len(all))
			moved[all[i].ID] = true
			s.see(all[i].ID)
			s.clock.Advance(time.Second)
			s.restartReader()
		})
		for _, session := range all {
			if n := given[session.ID]; n == 0 || n > 1 && !moved[session.ID] {
				t.Errorf("%v came %d times; it moved: %v", session.ID, n, moved[session.ID])
			}
		}
	})
}

// TestPagesOfCursorsAreTheNumberedPages while nothing changes.
func TestPagesOfCursorsAreTheNumberedPages(t *testing.T) {
	t.Parallel()
	eachOrder(t, func(t *testing.T, request sessions.ListRequest) {
		s := newService()
		populate(rand.New(rand.NewPCG(3, 1)), s)
		for number := 2; ; number++ {
			page := s.list(t, "org_a", request)
			request.Cursor, request.Page = "", number
			numbered := s.list(t, "org_a", request)
			request.Cursor = page.NextCursor
			if request.Cursor == "" {
				if len(numbered.Items) != 0 {
					t.Errorf("there is a page %d and no cursor of it", number)
				}
				return
			}
			next := s.list(t, "org_a", request)
			if len(next.Items) != len(numbered.Items) || next.Items[0].ID != numbered.Items[0].ID || next.TotalCount != numbered.TotalCount {
				t.Fatalf("page %d is another by cursor", number)
			}
		}
	})
}

// TestACursorIsGoodForItsListOnly, and never for another organisation.
func TestACursorIsGoodForItsListOnly(t *testing.T) {
	t.Parallel()
	s := newService()
	populate(rand.New(rand.NewPCG(4, 1)), s)
	request := sessions.ListRequest{Page: 1, PageSize: 5}
	request.Cursor = s.list(t, "org_a", request).NextCursor
	with := func(change func(r *sessions.ListRequest)) sessions.ListRequest {
		r := request
		change(&r)
		return r
	}
	for name, test := range map[string]struct {
		org     string
		request sessions.ListRequest
	}{
		"another organisation": {"org_b", request},
		"another sort":         {"org_a", with(func(r *sessions.ListRequest) { r.SortBy = sessions.ByLastSeenAt })},
		"another order":        {"org_a", with(func(r *sessions.ListRequest) { r.Descending = true })},
		"another filter":       {"org_a", with(func(r *sessions.ListRequest) { r.Filter.Public = new(true) })},
		"another range":        {"org_a", with(func(r *sessions.ListRequest) { r.Filter.CreatedAt.To = s.clock.Now() })},
		"another scope":        {"org_a", with(func(r *sessions.ListRequest) { r.Filter.Scope = schema.Owned })},
		"a changed one":        {"org_a", with(func(r *sessions.ListRequest) { r.Cursor = "B" + r.Cursor[1:] })},
		"half a one":           {"org_a", with(func(r *sessions.ListRequest) { r.Cursor = r.Cursor[:20] })},
		"none at all":          {"org_a", with(func(r *sessions.ListRequest) { r.Cursor = "?" })},
	} {
		if _, err := s.List(test.org, test.request); schematest.InvalidField(err) != "cursor" {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	larger := with(func(r *sessions.ListRequest) { r.PageSize = 9 })
	if page := s.list(t, "org_a", larger); len(page.Items) != 9 {
		t.Errorf("a larger page has %d items", len(page.Items))
	}
	other := sessions.NewReader(s.index, make([]byte, 32), s.clock.Now)
	if _, err := other.List("org_a", request); schematest.InvalidField(err) != "cursor" {
		t.Errorf("with another key the error is %v", err)
	}
}
