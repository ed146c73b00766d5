package schema_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// texts are values and searches, some of which would break statements or patterns that they were
// pasted into.
var texts = []string{"REF-1", "ref-10", "Ref_2", "100%", "a_b", `back\slash`, `it's "quoted"`, "tab\there", "line\nbreak",
	"{org:String}", "?", "*", "Ärger", "ÄRGER", "ñandú", "鍵🔑", `\N`, "NULL", "--", "/*", "; DROP TABLE sessions", "ref", "", "a"}

// seenSession is a session with what its checkpoint says.
type seenSession struct {
	schema.Session
	lastSeen *time.Time
}

var listNow = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// randomSession draws from few values, so that filters match and sort values tie.
func randomSession(random *rand.Rand) seenSession {
	pick := func(list []string) *string {
		if random.IntN(3) == 0 {
			return nil
		}
		return &list[random.IntN(len(list))]
	}
	day := func() *time.Time {
		if random.IntN(3) == 0 {
			return nil
		}
		t := listNow.Add(time.Duration(random.IntN(9)-5) * 24 * time.Hour)
		return &t
	}
	some := func(list ...string) []string {
		return list[:random.IntN(len(list)+1)]
	}
	orgs := []string{"org_a", "org_b", "org_c"}
	owner := orgs[random.IntN(len(orgs))]
	random.Shuffle(len(orgs), func(i, j int) { orgs[i], orgs[j] = orgs[j], orgs[i] })
	s := seenSession{Session: schema.Session{
		ID: schema.NewID(), OrgID: owner, DeviceID: schema.ID{byte(random.IntN(4))},
		DeviceMACAddress: []string{"AA:BB:01", "aa:bb:02", "CC:01:AA"}[random.IntN(3)],
		CreatedAt:        listNow.Add(-time.Duration(random.IntN(5)) * time.Hour),
		Comments:         pick(texts), OffChrtReferenceID: pick(texts), OffChrtShipperOrgDataID: pick(texts),
		SharedWithOrgIDs: some(orgs...), TerminationScheduledFor: day(), TerminatedAt: day(),
		FlightNumbers: some("LH1", "LH2"), FlightLoadedStatuses: some("loaded", "unloaded"), FlightLegIDs: some("leg"),
		Version: 2,
	}, lastSeen: day()}
	if random.IntN(3) > 0 {
		public := random.IntN(2) == 0
		s.Public = &public
	}
	return s
}

// saveSessions writes sessions with their checkpoints, and older versions that must not show.
func saveSessions(t *testing.T, db *schema.DB, sessions []seenSession) {
	t.Helper()
	var checkpoints []schema.Checkpoint
	for i, s := range sessions {
		if i%10 == 0 {
			old, text := s.Session, "old"
			old.Version, old.Comments, old.OffChrtReferenceID, old.CreatedAt = 1, &text, &text, listNow.Add(-1000*time.Hour)
			old.SharedWithOrgIDs = []string{"org_a", "org_b", "org_c"}
			if err := db.SaveSession(t.Context(), old); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.SaveSession(t.Context(), s.Session); err != nil {
			t.Fatal(err)
		}
		p := schema.NewDataPoint(s.ID, 0, 0, 0)
		switch {
		case s.lastSeen != nil:
			p.Timestamp = s.lastSeen.UnixMilli()
		case i%2 == 0:
			continue
		default: // nothing but outliers
			p.Timestamp, p.Outlier = listNow.UnixMilli(), schema.OutlierByUser
		}
		checkpoints = append(checkpoints, schema.Checkpoint{Point: p, NewestTimestamp: p.Timestamp})
	}
	if err := db.SaveCheckpoints(t.Context(), checkpoints, 1, 1); err != nil {
		t.Fatal(err)
	}
}

// matches is the reference of the filters.
func (s *seenSession) matches(page *schema.SessionPage) bool {
	f := &page.Filter
	owned, shared := s.OrgID == page.OrgID, slices.Contains(s.SharedWithOrgIDs, page.OrgID)
	inScope := map[schema.OrgScope]bool{schema.OwnedAndShared: owned || shared, schema.Owned: owned, schema.Shared: shared && !owned}[f.Scope]
	contains := func(text *string) bool {
		return text != nil && strings.Contains(strings.ToLower(*text), strings.ToLower(f.Search))
	}
	flag := func(want *bool, have bool) bool { return want == nil || *want == have }
	exact := func(want *string, have ...string) bool { return want == nil || slices.Contains(have, *want) }
	within := func(want schema.TimeRange, have *time.Time) bool {
		return want == (schema.TimeRange{}) || have != nil &&
			(want.From.IsZero() || !have.Before(want.From)) && (want.To.IsZero() || !have.After(want.To))
	}
	var references []string
	if s.OffChrtReferenceID != nil {
		references = []string{*s.OffChrtReferenceID}
	}
	return inScope &&
		(f.Search == "" || contains(s.OffChrtReferenceID) || contains(&s.DeviceMACAddress) || contains(s.Comments)) &&
		flag(f.Terminated, s.ended() != nil) && flag(f.Public, s.Public != nil && *s.Public) && flag(f.HasLastSeen, s.lastSeen != nil) &&
		exact(f.DeviceID, s.DeviceID.String()) && exact(f.OffChrtReferenceID, references...) &&
		exact(f.FlightNumber, s.FlightNumbers...) && exact(f.FlightLoadedStatus, s.FlightLoadedStatuses...) &&
		within(f.CreatedAt, &s.CreatedAt) && within(f.LastSeenAt, s.lastSeen) &&
		within(f.TerminationScheduledFor, s.TerminationScheduledFor) && within(f.TerminatedAt, s.ended())
}

func (s *seenSession) ended() *time.Time {
	if at, ok := s.EndedAt(listNow); ok {
		return &at
	}
	return nil
}

// sorted is the reference of the order.
func sorted(sessions []seenSession, page *schema.SessionPage) []seenSession {
	value := func(s *seenSession) *time.Time {
		return map[schema.SessionSort]*time.Time{
			schema.SortByCreatedAt: &s.CreatedAt, schema.SortByLastSeenAt: s.lastSeen,
			schema.SortByTerminationScheduledFor: s.TerminationScheduledFor, schema.SortByTerminatedAt: s.ended(),
		}[page.SortBy]
	}
	slices.SortFunc(sessions, func(a, b seenSession) int {
		x, y := value(&a), value(&b)
		order := 0
		switch {
		case x == nil && y != nil:
			return 1
		case x != nil && y == nil:
			return -1
		case x != nil && page.Descending:
			order = y.Compare(*x)
		case x != nil:
			order = x.Compare(*y)
		}
		return cmp.Or(order, slices.Compare(a.ID[:], b.ID[:]))
	})
	return sessions
}

// randomPage draws a request with two filters or so.
func randomPage(random *rand.Rand, sessions []seenSession) schema.SessionPage {
	page := schema.SessionPage{
		OrgID: []string{"org_a", "org_b", "org_c", "org_d"}[random.IntN(4)], SortBy: schema.SessionSort(random.UintN(4)),
		Descending: random.IntN(2) == 0, Limit: 1 + random.IntN(100), Offset: random.IntN(30), Now: listNow,
	}
	f := &page.Filter
	f.Scope = schema.OrgScope(random.UintN(3))
	flag := random.IntN(2) == 0
	example := sessions[random.IntN(len(sessions))]
	device, reference := example.DeviceID.String(), texts[random.IntN(len(texts))]
	flight, status := []string{"LH1", "LH2", "lh1", ""}[random.IntN(4)], []string{"loaded", "unloaded"}[random.IntN(2)]
	span := schema.TimeRange{}
	if random.IntN(3) > 0 {
		span.From = listNow.Add(time.Duration(random.IntN(9)-6) * 24 * time.Hour)
	}
	if random.IntN(3) > 0 || span.From.IsZero() {
		span.To = listNow.Add(time.Duration(random.IntN(9)-4) * 24 * time.Hour)
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
	return page
}

func TestListSessions(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(9, 9))
	sessions := make([]seenSession, 100)
	for i := range sessions {
		sessions[i] = randomSession(random)
	}
	saveSessions(t, db, sessions)

	for range 120 {
		page := randomPage(random, sessions)
		var matching []seenSession
		for _, s := range sessions {
			if s.matches(&page) {
				matching = append(matching, s)
			}
		}
		total := len(matching)
		matching = sorted(matching, &page)
		matching = matching[min(page.Offset, total):min(page.Offset+page.Limit, total)]
		got, count, err := db.ListSessions(t.Context(), page)
		if err != nil {
			t.Fatalf("%+v: %v", page, err)
		}
		if count != total {
			t.Errorf("%+v: the total is %d, want %d", page, count, total)
		}
		var want []schema.Session
		for _, s := range matching {
			want = append(want, s.Session)
		}
		if diff := gocmp.Diff(want, got, equateEmpty); diff != "" {
			t.Fatalf("%+v: sessions differ (- want, + got):\n%s", page, diff)
		}
	}

	t.Run("a termination that is due this very moment", func(t *testing.T) {
		due := seenSession{Session: schema.Session{ID: schema.NewID(), OrgID: "org_due", CreatedAt: listNow, TerminationScheduledFor: &listNow, Version: 1}}
		saveSessions(t, db, []seenSession{due})
		yes := true
		page := schema.SessionPage{OrgID: "org_due", Filter: schema.SessionFilter{Terminated: &yes}, Limit: 1, Now: listNow}
		if _, count, err := db.ListSessions(t.Context(), page); err != nil || count != 1 {
			t.Errorf("%d sessions are terminated, error %v; want 1", count, err)
		}
		page.Now = listNow.Add(-time.Millisecond)
		if _, count, err := db.ListSessions(t.Context(), page); err != nil || count != 0 {
			t.Errorf("a millisecond before, %d sessions are terminated, error %v; want 0", count, err)
		}
	})
	t.Run("a filter beyond what dates can express", func(t *testing.T) {
		page := schema.SessionPage{OrgID: "org_a", Limit: 1000, Now: listNow}
		page.Filter.CreatedAt = schema.TimeRange{From: time.Date(1, 1, 1, 1, 0, 0, 0, time.UTC), To: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
		_, with, err := db.ListSessions(t.Context(), page)
		if err != nil {
			t.Fatal(err)
		}
		page.Filter = schema.SessionFilter{}
		if _, without, _ := db.ListSessions(t.Context(), page); with != without {
			t.Errorf("found %d sessions with the filter, %d without", with, without)
		}
	})
}

// equateEmpty makes nil and empty lists equal.
var equateEmpty = gocmp.Transformer("list", func(list []string) []string { return append([]string{}, list...) })

func TestFindSession(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	s := randomSession(rand.New(rand.NewPCG(10, 10)))
	saveSessions(t, db, []seenSession{s})
	got, found, err := db.FindSession(t.Context(), s.OrgID, s.ID)
	if err != nil || !found {
		t.Fatalf("found %v, error %v", found, err)
	}
	if diff := gocmp.Diff(s.Session, got, equateEmpty); diff != "" {
		t.Errorf("session differs (- want, + got):\n%s", diff)
	}
	if _, found, err := db.FindSession(t.Context(), "org_other", s.ID); found || err != nil {
		t.Errorf("another organisation: found %v, error %v", found, err)
	}
}

func TestSuggestValues(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	var sessions []seenSession
	add := func(org, mac, reference string, shared ...string) {
		s := seenSession{Session: schema.Session{ID: schema.NewID(), OrgID: org, DeviceMACAddress: mac, CreatedAt: listNow, SharedWithOrgIDs: shared, Version: 2}}
		if reference != "" {
			s.OffChrtReferenceID = &reference
		}
		sessions = append(sessions, s)
	}
	add("org_a", "AA:01", "beta-alpha")
	add("org_a", "AA:01", "alpha")
	add("org_a", "01:AA", "ALPHA-2", "org_b")
	add("org_a", "bb:02", "100%")
	add("org_a", "bb:03", `x\y'z`)
	add("org_a", "bb:04", "")
	add("org_b", "aa:99", "alpha-b")
	add("org_c", "aa:98", "alpha-c", "org_a")
	saveSessions(t, db, sessions)

	for _, test := range []struct {
		name  string
		scope schema.OrgScope
		field schema.SuggestedField
		text  string
		limit int
		want  []string
	}{
		{"those that begin with it first, then alphabetically, each once", schema.Owned, schema.SuggestReferenceID, "aLPha", 10, []string{"alpha", "ALPHA-2", "beta-alpha"}},
		{"shared ones where they are in scope", schema.OwnedAndShared, schema.SuggestReferenceID, "alpha", 10, []string{"alpha", "ALPHA-2", "alpha-c", "beta-alpha"}},
		{"shared ones only", schema.Shared, schema.SuggestReferenceID, "alpha", 10, []string{"alpha-c"}},
		{"up to the limit", schema.OwnedAndShared, schema.SuggestReferenceID, "alpha", 2, []string{"alpha", "ALPHA-2"}},
		{"MAC addresses", schema.Owned, schema.SuggestMACAddress, "aa", 10, []string{"AA:01", "01:AA"}},
		{"special characters as themselves", schema.Owned, schema.SuggestReferenceID, "%", 10, []string{"100%"}},
		{"backslashes and quotes", schema.Owned, schema.SuggestReferenceID, `\y'`, 10, []string{`x\y'z`}},
		{"nothing", schema.Owned, schema.SuggestReferenceID, "_", 10, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := db.SuggestValues(t.Context(), "org_a", test.scope, test.field, test.text, test.limit)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(test.want, got); diff != "" {
				t.Errorf("values differ (- want, + got):\n%s", diff)
			}
		})
	}
}

func milliseconds(at *time.Time) int64 {
	if at == nil {
		return 0
	}
	return at.UnixMilli()
}

func TestEachSessionAccess(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	random := rand.New(rand.NewPCG(11, 11))
	sessions := make([]seenSession, 50)
	want := make(map[schema.ID]schema.SessionAccess)
	for i := range sessions {
		s := randomSession(random)
		sessions[i] = s
		want[s.ID] = schema.SessionAccess{
			ID: s.ID, OrgID: s.OrgID, Public: s.Public != nil && *s.Public, SharedWithOrgIDs: s.SharedWithOrgIDs,
			ScheduledFor: milliseconds(s.TerminationScheduledFor), TerminatedAt: milliseconds(s.TerminatedAt),
		}
	}
	saveSessions(t, db, sessions)
	got := make(map[schema.ID]schema.SessionAccess)
	if err := db.EachSessionAccess(t.Context(), func(a schema.SessionAccess) { got[a.ID] = a }); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got, equateEmpty); diff != "" {
		t.Errorf("access differs (- want, + got):\n%s", diff)
	}
}
