package sessions_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/query/sessions"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// service is the index with the table of newest points, told of sessions and points as by the write side.
type service struct {
	clock *schematest.Clock
	table *latest.Table
	index *sessions.Index
	*sessions.Reader
}

var cursorKey = bytes.Repeat([]byte{7}, 32)

func newService() *service {
	s := &service{clock: schematest.NewClock(time.UnixMilli(querytest.May2026))}
	s.table = latest.New(nil, s.clock.Now)
	s.index = sessions.NewIndex(s.table)
	s.restartReader()
	return s
}

// restartReader forgets what only a Reader knows.
func (s *service) restartReader() {
	s.Reader = sessions.NewReader(s.index, cursorKey, s.clock.Now)
}

func (s *service) put(session schema.Session) {
	s.index.PutSession(session)
	s.table.PutSession(session)
}

// see publishes a point that was recorded and received now.
func (s *service) see(id schema.ID) {
	p := querytest.At(id, 0)
	p.Timestamp = s.clock.Now().UnixMilli()
	p.ReceivedAt = p.Timestamp
	s.table.Publish([]schema.OwnedPoint{p})
}

func (s *service) list(tb testing.TB, orgID string, request sessions.ListRequest) sessions.Page {
	tb.Helper()
	page, err := s.List(orgID, request)
	if err != nil {
		tb.Fatalf("%s: %v", describe(request), err)
	}
	return page
}

func describe(request sessions.ListRequest) string {
	text, _ := json.Marshal(request)
	return string(text)
}

// texts are values and searches, some of which mean something in patterns and statements, or are the same to people.
var texts = []string{"REF-1", "ref-10", "Ref_2", "100%", "a_b", `back\slash`, `it's "quoted"`, "tab\there", "line\nbreak",
	"{org:String}", "?", "*", "Ärger", "A\u0308RGER", "ärger", "ñandú", "鍵🔑", `\N`, "ＲＥＦ", "Straße", "STRASSE", "ΣΊΣΥΦΟΣ", "σίσυφος", "ref", "", "a"}

var organisations = []string{"org_a", "org_b", "org_c"}

// randomSession draws from few values, so that filters match and sort values tie.
func randomSession(random *rand.Rand, now time.Time) schema.Session {
	s := schema.Session{ID: schema.NewID(), OrgID: organisations[random.IntN(len(organisations))]}
	return changed(random, s, now)
}

// changed draws everything but what a session keeps for good.
func changed(random *rand.Rand, s schema.Session, now time.Time) schema.Session {
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
		t := now.Add(time.Duration(random.IntN(9)-5) * 24 * time.Hour)
		return &t
	}
	some := func(list ...string) []string { return list[:random.IntN(len(list)+1)] }
	orgs := append([]string(nil), organisations...)
	random.Shuffle(len(orgs), func(i, j int) { orgs[i], orgs[j] = orgs[j], orgs[i] })
	s = schema.Session{
		ID: s.ID, OrgID: s.OrgID, DeviceID: schema.ID{byte(random.IntN(4))},
		DeviceMACAddress: []string{"AA:BB:01", "aa:bb:02", "CC:01:AA"}[random.IntN(3)],
		CreatedAt:        now.Add(-time.Duration(random.IntN(5)) * time.Hour),
		Comments:         pick(texts), OffChrtReferenceID: pick(texts), OffChrtShipperOrgDataID: pick(texts),
		SharedWithOrgIDs: some(orgs...), TerminationScheduledFor: day(), TerminatedAt: day(),
		FlightNumbers: some("LH1", "LH2"), FlightLoadedStatuses: some("loaded", "unloaded"), FlightLegIDs: some("leg"),
		Version: s.Version + 1,
	}
	if random.IntN(3) > 0 {
		public := random.IntN(2) == 0
		s.Public = &public
	}
	return s
}
