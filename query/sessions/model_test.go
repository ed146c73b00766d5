package sessions_test

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"lastseen/query/querytest"
	"lastseen/query/sessions"
	"lastseen/schema"
)

// world is the reference: all sessions as they were last put, and their points.
type world struct {
	now      time.Time
	sessions map[schema.ID]schema.Session
	seen     map[schema.ID]schema.OwnedPoint // the newest point that is not an outlier
}

// folded is what people take for the same.
func folded(text string) string {
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(cases.Fold().String(norm.NFD.String(text)))))
}

func (w *world) lastSeen(id schema.ID) *time.Time {
	p, seen := w.seen[id]
	if !seen {
		return nil
	}
	at := time.UnixMilli(p.Timestamp)
	return &at
}

func (w *world) ended(s *schema.Session) *time.Time {
	if at, ended := s.EndedAt(w.now); ended {
		return &at
	}
	return nil
}

// matches is the reference of the filters.
func (w *world) matches(s *schema.Session, orgID string, f *sessions.Filter) bool {
	owned, shared := s.OrgID == orgID, slices.Contains(s.SharedWithOrgIDs, orgID)
	inScope := map[schema.OrgScope]bool{schema.OwnedAndShared: owned || shared, schema.Owned: owned, schema.Shared: shared && !owned}[f.Scope]
	contains := func(text *string) bool { return text != nil && strings.Contains(folded(*text), folded(f.Search)) }
	flag := func(want *bool, have bool) bool { return want == nil || *want == have }
	exact := func(want *string, have ...string) bool { return want == nil || slices.Contains(have, *want) }
	within := func(want sessions.TimeRange, have *time.Time) bool {
		return want == (sessions.TimeRange{}) || have != nil &&
			(want.From.IsZero() || !have.Before(want.From)) && (want.To.IsZero() || !have.After(want.To))
	}
	var references []string
	if s.OffChrtReferenceID != nil {
		references = []string{*s.OffChrtReferenceID}
	}
	return inScope &&
		(f.Search == "" || contains(s.OffChrtReferenceID) || contains(&s.DeviceMACAddress) || contains(s.Comments)) &&
		flag(f.Terminated, w.ended(s) != nil) && flag(f.Public, s.Public != nil && *s.Public) && flag(f.HasLastSeen, w.lastSeen(s.ID) != nil) &&
		exact(f.DeviceID, s.DeviceID.String()) && exact(f.OffChrtReferenceID, references...) &&
		exact(f.FlightNumber, s.FlightNumbers...) && exact(f.FlightLoadedStatus, s.FlightLoadedStatuses...) &&
		within(f.CreatedAt, &s.CreatedAt) && within(f.LastSeenAt, w.lastSeen(s.ID)) &&
		within(f.TerminationScheduledFor, s.TerminationScheduledFor) && within(f.TerminatedAt, w.ended(s))
}

// list is the reference of a list.
func (w *world) list(orgID string, r *sessions.ListRequest) []schema.Session {
	var found []schema.Session
	for _, s := range w.sessions {
		if w.matches(&s, orgID, &r.Filter) {
			found = append(found, s)
		}
	}
	value := func(s *schema.Session) *time.Time {
		return map[sessions.Sort]*time.Time{
			sessions.ByCreatedAt: &s.CreatedAt, sessions.ByLastSeenAt: w.lastSeen(s.ID),
			sessions.ByTerminationScheduledFor: s.TerminationScheduledFor, sessions.ByTerminatedAt: w.ended(s),
		}[r.SortBy]
	}
	slices.SortFunc(found, func(a, b schema.Session) int {
		x, y := value(&a), value(&b)
		order := 0
		switch {
		case x == nil && y != nil:
			return 1
		case x != nil && y == nil:
			return -1
		case x != nil && r.Descending:
			order = y.Compare(*x)
		case x != nil:
			order = x.Compare(*y)
		}
		return cmp.Or(order, bytes.Compare(a.ID[:], b.ID[:]))
	})
	return found
}

// suggest is the reference of one field's suggestions.
func (w *world) suggest(orgID, text string, scope schema.OrgScope, limit int, of func(*schema.Session) *string) []string {
	distinct := map[string]bool{}
	for _, s := range w.sessions {
		if value := of(&s); value != nil && w.matches(&s, orgID, &sessions.Filter{Scope: scope}) && strings.Contains(folded(*value), folded(text)) {
			distinct[*value] = true
		}
	}
	var values []string
	for value := range distinct {
		values = append(values, value)
	}
	inside := func(value string) int {
		if strings.HasPrefix(folded(value), folded(text)) {
			return 0
		}
		return 1
	}
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(inside(a)-inside(b), cmp.Compare(folded(a), folded(b)), cmp.Compare(a, b))
	})
	return values[:min(limit, len(values))]
}

func randomRequest(random *rand.Rand, w *world) (orgID string, r sessions.ListRequest) {
	orgID = append(organisations, "org_d")[random.IntN(4)]
	r = sessions.ListRequest{SortBy: sessions.Sort(random.UintN(4)), Descending: random.IntN(2) == 0, Page: 1 + random.IntN(3), PageSize: 1 + random.IntN(40)}
	f := &r.Filter
	f.Scope = schema.OrgScope(random.UintN(3))
	flag := random.IntN(2) == 0
	device, reference := schema.ID{byte(random.IntN(5))}.String(), texts[random.IntN(len(texts))]
	flight, status := []string{"LH1", "LH2", "lh1", ""}[random.IntN(4)], []string{"loaded", "unloaded"}[random.IntN(2)]
	span := sessions.TimeRange{}
	if random.IntN(3) > 0 {
		span.From = w.now.Add(time.Duration(random.IntN(9)-6) * 24 * time.Hour)
	}
	if random.IntN(3) > 0 || span.From.IsZero() {
		span.To = w.now.Add(time.Duration(random.IntN(9)-4) * 24 * time.Hour)
	}
	for range random.IntN(3) {
		filters := []func(){
			func() { f.Search = texts[random.IntN(len(texts))] }, func() { f.Terminated = &flag }, func() { f.Public = &flag },
			func() { f.HasLastSeen = &flag }, func() { f.DeviceID = &device }, func() { f.OffChrtReferenceID = &reference },
			func() { f.FlightNumber = &flight }, func() { f.FlightLoadedStatus = &status }, func() { f.CreatedAt = span },
			func() { f.LastSeenAt = span }, func() { f.TerminationScheduledFor = span }, func() { f.TerminatedAt = span },
		}
		filters[random.IntN(len(filters))]()
	}
	return orgID, r
}

// step has the service and the world go through one random change.
func (w *world) step(random *rand.Rand, s *service) {
	var known []schema.ID
	for id := range w.sessions {
		known = append(known, id)
	}
	slices.SortFunc(known, func(a, b schema.ID) int { return bytes.Compare(a[:], b[:]) })
	switch action := random.IntN(6); {
	case len(known) < 10 || action == 0:
		added := randomSession(random, w.now)
		w.sessions[added.ID] = added
		s.put(added)
	case action == 1:
		// As a start tells them, new ones and some that are known, each once.
		var batch []schema.Session
		for _, i := range random.Perm(len(known))[:random.IntN(6)] {
			batch = append(batch, changed(random, w.sessions[known[i]], w.now))
		}
		for range random.IntN(6) {
			batch = append(batch, randomSession(random, w.now))
		}
		slices.SortFunc(batch, func(a, b schema.Session) int { return cmp.Compare(a.OrgID, b.OrgID) })
		for _, one := range batch {
			w.sessions[one.ID] = one
		}
		s.index.PutSessions(batch)
		s.table.PutSessions(batch)
	case action < 3:
		id := known[random.IntN(len(known))]
		w.sessions[id] = changed(random, w.sessions[id], w.now)
		s.put(w.sessions[id])
	default:
		p := querytest.At(known[random.IntN(len(known))], int64(random.IntN(12)-6)*12*3600)
		if random.IntN(4) == 0 {
			p.Outlier = schema.OutlierByUser
			p.Timestamp++ // of its own identity: a mark of a point that is there goes another way
		} else if newest, seen := w.seen[p.SessionID]; !seen || p.Timestamp > newest.Timestamp {
			w.seen[p.SessionID] = p
		}
		s.table.Publish([]schema.OwnedPoint{p})
	}
}

func asSeenBy(orgID string, s schema.Session) schema.Session {
	s.Version = 0 // is not shown
	if s.OrgID != orgID {
		s.SharedWithOrgIDs = []string{orgID}
	}
	return s
}

// TestListsAndSuggestionsAreThoseOfTheModel: whatever happened to sessions, and whatever is asked.
func TestListsAndSuggestionsAreThoseOfTheModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		random, s := rand.New(rand.NewPCG(seed, 9)), newService()
		w := &world{now: s.clock.Now().UTC(), sessions: map[schema.ID]schema.Session{}, seen: map[schema.ID]schema.OwnedPoint{}}
		for step := range 1000 {
			w.step(random, s)
			if step%5 > 0 {
				continue
			}
			orgID, request := randomRequest(random, w)
			checkList(t, s, w, orgID, request)
			checkTypeahead(t, s, w, random, orgID)
		}
	}
}

func checkList(t *testing.T, s *service, w *world, orgID string, request sessions.ListRequest) {
	t.Helper()
	all := w.list(orgID, &request)
	page := s.list(t, orgID, request)
	if page.TotalCount != len(all) {
		t.Fatalf("%s: the total is %d, want %d", describe(request), page.TotalCount, len(all))
	}
	from := min((request.Page-1)*request.PageSize, len(all))
	to := min(from+request.PageSize, len(all))
	if more := to < len(all) && from < to; more != (page.NextCursor != "") {
		t.Errorf("%s: of %d up to %d, the next cursor is %q", describe(request), len(all), to, page.NextCursor)
	}
	var want, got []schema.Session
	for _, session := range all[from:to] {
		want = append(want, asSeenBy(orgID, session))
	}
	for _, view := range page.Items {
		got = append(got, view.Session)
		one, err := s.Get(orgID, view.ID.String())
		if diff := gocmp.Diff(view, one, querytest.SameTemperature); diff != "" || err != nil {
			t.Fatalf("get answers another than list: %v (- list, + get):\n%s", err, diff)
		}
		if seen := w.lastSeen(view.ID); (seen == nil) != (view.LastSeen == nil) || seen != nil && seen.UnixMilli() != view.LastSeen.Timestamp {
			t.Fatalf("%v was seen %v, want %v", view.ID, view.LastSeen, seen)
		}
	}
	if diff := gocmp.Diff(want, got, equateEmpty); diff != "" {
		t.Fatalf("%s: sessions differ (- want, + got):\n%s", describe(request), diff)
	}
}

func checkTypeahead(t *testing.T, s *service, w *world, random *rand.Rand, orgID string) {
	t.Helper()
	text, scope, limit := texts[random.IntN(len(texts)-2)], schema.OrgScope(random.UintN(3)), 1+random.IntN(12)
	if random.IntN(2) == 0 {
		text = []string{"a", "A", ":0", "r", "aa:bb"}[random.IntN(5)]
	}
	if text == "" {
		return
	}
	got, err := s.Typeahead(orgID, text, scope, limit)
	if err != nil {
		t.Fatal(err)
	}
	want := sessions.Suggestions{
		MACAddresses: w.suggest(orgID, text, scope, limit, func(s *schema.Session) *string { return &s.DeviceMACAddress }),
		ReferenceIDs: w.suggest(orgID, text, scope, limit, func(s *schema.Session) *string { return s.OffChrtReferenceID }),
	}
	if diff := gocmp.Diff(want, got, equateEmpty); diff != "" {
		t.Fatalf("%s: %q in scope %d: suggestions differ (- want, + got):\n%s", orgID, text, scope, diff)
	}
}
