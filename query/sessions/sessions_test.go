package sessions_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"lastseen/query/latest"
	"lastseen/query/querytest"
	"lastseen/query/sessions"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// listing is a list request of one page that holds everything.
func listing(sortBy sessions.Sort) sessions.ListRequest {
	return sessions.ListRequest{SortBy: sortBy, Descending: true, Page: 1, PageSize: 1000}
}

// load returns what a service that starts on db would have.
func load(tb testing.TB, db *schema.DB, now func() time.Time) (*latest.Table, *sessions.Reader) {
	tb.Helper()
	table := querytest.Load(tb, db, now)
	index := sessions.NewIndex(table)
	if err := db.EachSession(tb.Context(), index.PutSession); err != nil {
		tb.Fatal(err)
	}
	return table, sessions.NewReader(index, cursorKey, now)
}

func list(t *testing.T, reader *sessions.Reader, orgID string, request sessions.ListRequest) sessions.Page {
	t.Helper()
	page, err := reader.List(orgID, request)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// wantIDs checks which sessions a page has, in order.
func wantIDs(t *testing.T, page sessions.Page, want ...schema.ID) {
	t.Helper()
	var got []schema.ID
	for _, s := range page.Items {
		got = append(got, s.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" || page.TotalCount != len(want) {
		t.Errorf("of %d sessions, the ids differ (- want, + got):\n%s", page.TotalCount, diff)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	db, clock := schematest.Open(t), schematest.NewClock(time.UnixMilli(querytest.May2026))
	due, later := clock.Now().Add(-time.Minute), clock.Now().Add(time.Minute)
	ended, scheduled, foreign, hidden := querytest.NewSession(), querytest.NewSession(), querytest.NewSession(), querytest.NewSession()
	for i, s := range []*schema.Session{&ended, &scheduled, &foreign, &hidden} {
		s.ID = schema.ID{byte(i + 1)} // ties are in this order
	}
	ended.TerminationScheduledFor, ended.SharedWithOrgIDs = &due, []string{"org_b", "org_c"}
	scheduled.TerminationScheduledFor = &later
	foreign.OrgID, foreign.SharedWithOrgIDs = "org_b", []string{"org_a", "org_c"}
	hidden.OrgID = "org_b"
	querytest.SaveSession(t, db, ended, scheduled, foreign, hidden)
	table, reader := load(t, db, clock.Now)

	t.Run("a list sorted by last seen has what was published just now", func(t *testing.T) {
		wantIDs(t, list(t, reader, "org_a", listing(sessions.ByLastSeenAt)), ended.ID, scheduled.ID, foreign.ID)
		for second, id := range []schema.ID{foreign.ID, ended.ID, scheduled.ID, foreign.ID} {
			table.Publish([]schema.OwnedPoint{querytest.At(id, int64(second))})
		}
		page := list(t, reader, "org_a", listing(sessions.ByLastSeenAt))
		wantIDs(t, page, foreign.ID, scheduled.ID, ended.ID)
		if diff := cmp.Diff(querytest.At(foreign.ID, 3).DataPoint, *page.Items[0].LastSeen, querytest.SameTemperature); diff != "" {
			t.Errorf("last seen differs (- want, + got):\n%s", diff)
		}
		seen, request := true, listing(sessions.ByCreatedAt)
		request.Filter.HasLastSeen = &seen
		request.Filter.LastSeenAt = sessions.TimeRange{From: time.UnixMilli(querytest.May2026 + 2000)}
		wantIDs(t, list(t, reader, "org_a", request), scheduled.ID, foreign.ID)
	})
	t.Run("pages", func(t *testing.T) {
		request := listing(sessions.ByCreatedAt)
		request.PageSize, request.Page = 2, 2
		page := list(t, reader, "org_a", request)
		if len(page.Items) != 1 || page.Items[0].ID != foreign.ID || page.TotalCount != 3 {
			t.Errorf("the second page has %d items of %d", len(page.Items), page.TotalCount)
		}
		request.Page = schema.MaxPage
		if page := list(t, reader, "org_a", request); len(page.Items) != 0 || page.TotalCount != 3 {
			t.Errorf("a page far out has %d items of %d", len(page.Items), page.TotalCount)
		}
	})
	t.Run("a device's id in either case", func(t *testing.T) {
		request, device := listing(sessions.ByCreatedAt), "010000000000000000000000"
		request.Filter.DeviceID = &device
		if page := list(t, reader, "org_a", request); page.TotalCount != 3 {
			t.Errorf("found %d sessions, want 3", page.TotalCount)
		}
	})
	t.Run("get", func(t *testing.T) {
		for _, test := range []struct {
			name, orgID, id string
			want            *sessions.View // nil: not found
		}{
			{"one's own, whose end is due", "org_a", ended.ID.String(), &sessions.View{Session: shown(ended), Ended: due, LastSeen: new(querytest.At(ended.ID, 1).DataPoint)}},
			{"one's own, whose end is not due", "org_a", scheduled.ID.String(), &sessions.View{Session: shown(scheduled), LastSeen: new(querytest.At(scheduled.ID, 2).DataPoint)}},
			{"a shared one does not say whom else it is shared with", "org_a", foreign.ID.String(), &sessions.View{Session: sharedWith(foreign, "org_a"), LastSeen: new(querytest.At(foreign.ID, 3).DataPoint)}},
			{"another's", "org_a", hidden.ID.String(), nil},
			{"none", "org_a", schema.NewID().String(), nil},
			{"no id", "org_a", "x", nil},
		} {
			t.Run(test.name, func(t *testing.T) {
				got, err := reader.Get(test.orgID, test.id)
				if test.want == nil {
					if !errors.Is(err, schema.NotFound) {
						t.Errorf("the error is %v, want %v", err, schema.NotFound)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(*test.want, got, querytest.SameTemperature, equateEmpty); diff != "" {
					t.Errorf("the session differs (- want, + got):\n%s", diff)
				}
			})
		}
	})
	t.Run("a termination comes due without anybody's doing", func(t *testing.T) {
		clock := schematest.NewClock(time.UnixMilli(querytest.May2026))
		_, reader := load(t, db, clock.Now)
		yes, request := true, listing(sessions.ByTerminatedAt)
		request.Filter.Terminated = &yes
		wantIDs(t, list(t, reader, "org_a", request), ended.ID)
		clock.Advance(time.Minute)
		page := list(t, reader, "org_a", request)
		wantIDs(t, page, scheduled.ID, ended.ID)
		if !page.Items[0].Ended.Equal(later) {
			t.Errorf("it ended at %v, want %v", page.Items[0].Ended, later)
		}
	})
}

func sharedWith(s schema.Session, orgs ...string) schema.Session {
	s.SharedWithOrgIDs = orgs
	return shown(s)
}

// shown is a session without its version, which nobody is shown.
func shown(s schema.Session) schema.Session {
	s.Version = 0
	return s
}

// equateEmpty makes nil and empty lists equal.
var equateEmpty = cmp.Transformer("list", func(list []string) []string { return append([]string{}, list...) })

func TestListRequestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		field          string // empty: it is valid
		page, pageSize int
	}{
		{"", 1, 1}, {"", 7, 1000}, {"page", 0, 50}, {"page", -1, 50}, {"page", 1 << 40, 50}, {"page_size", 1, 0}, {"page_size", 1, 1001},
	} {
		request := sessions.ListRequest{Page: test.page, PageSize: test.pageSize}
		err := request.Validate()
		switch {
		case test.field == "" && err != nil:
			t.Errorf("%+v: %v", request, err)
		case test.field != "" && schematest.InvalidField(err) != test.field:
			t.Errorf("%+v: the error is %v, want one of %s", request, err, test.field)
		}
	}
}

func TestTypeahead(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	s, reference := querytest.NewSession(), `a"b\c`
	s.OffChrtReferenceID = &reference
	querytest.SaveSession(t, db, s)
	_, reader := load(t, db, time.Now)
	found, err := reader.Typeahead("org_a", "A", schema.OwnedAndShared, 10)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"type":"device_mac_address","values":["aa:bb"]},{"type":"off_chrt_reference_id","values":["a\"b\\c"]}]`
	if diff := cmp.Diff(want, string(sessions.AppendSuggestions(nil, &found))); diff != "" {
		t.Errorf("the answer differs (- want, + got):\n%s", diff)
	}
	none := sessions.Suggestions{}
	want = `[{"type":"device_mac_address","values":[]},{"type":"off_chrt_reference_id","values":[]}]`
	if diff := cmp.Diff(want, string(sessions.AppendSuggestions(nil, &none))); diff != "" {
		t.Errorf("the empty answer differs (- want, + got):\n%s", diff)
	}
	for _, test := range []struct {
		field, text string
		limit       int
	}{{"query", "", 1}, {"limit", "a", 0}, {"limit", "a", 101}} {
		_, err := reader.Typeahead("org_a", test.text, schema.Owned, test.limit)
		if schematest.InvalidField(err) != test.field {
			t.Errorf("the error is %v, want one of %s", err, test.field)
		}
	}
}

func TestAppendSession(t *testing.T) {
	t.Parallel()
	id, _ := schema.ParseID("65a4f2c8d1e2f3a4b5c6d7e8")
	device, _ := schema.ParseID("0102030405060708090a0b0c")
	off := "off"
	no, text, moment := false, "x", time.UnixMilli(querytest.May2026+1).UTC()
	least := sessions.View{Session: schema.Session{ID: id, OrgID: "org_a", DeviceID: device, DeviceMACAddress: "aa:bb", CreatedAt: time.UnixMilli(querytest.May2026).UTC()}}
	p := schema.NewDataPoint(id, querytest.May2026, 407_484_000, -739_857_000)
	p.Speed = 150
	most := sessions.View{Session: schema.Session{
		ID: id, OrgID: "org_a", DeviceID: device, DeviceMACAddress: "aa:bb", CreatedAt: time.UnixMilli(querytest.May2026).UTC(), Comments: &text,
		OffChrtReferenceID: &text, OffChrtShipperOrgDataID: &text, Public: &no, Outliers: &off, SharedWithOrgIDs: []string{"org_b", "org_c"},
		TerminationScheduledFor: &moment, FlightNumbers: []string{"LH1"}, FlightLoadedStatuses: []string{"loaded"}, FlightLegIDs: []string{"leg"},
	}, Ended: moment, LastSeen: &p}
	const begin = `{"_id":"65a4f2c8d1e2f3a4b5c6d7e8","schema_version":1,"org_id":"org_a","device_id":"0102030405060708090a0b0c","device_mac_address":"aa:bb","created_at_timestamp":"2026-05-04T12:00:00Z"`
	wantLeast := begin + `,"terminated":false}`
	wantMost := begin + `,"comments":"x","off_chrt_reference_id":"x","off_chrt_shipper_org_data_id":"x","public":false,"outliers":"off","shared_with_org_ids":["org_b","org_c"],` +
		`"terminated":true,"terminated_at_timestamp":"2026-05-04T12:00:00.001Z","termination_scheduled_for_timestamp":"2026-05-04T12:00:00.001Z",` +
		`"last_seen_at_timestamp":"2026-05-04T12:00:00Z","last_seen_at_location":{"type":"Feature","geometry":{"type":"Point","coordinates":[-73.9857,40.7484]},"properties":{"speed":1.5}},` +
		`"flight_numbers":["LH1"],"flight_loaded_statuses":["loaded"],"flight_leg_ids":["leg"]}`
	if diff := cmp.Diff(wantLeast, string(sessions.AppendSession(nil, &least))); diff != "" {
		t.Errorf("a session with the least differs (- want, + got):\n%s", diff)
	}
	if diff := cmp.Diff(wantMost, string(sessions.AppendSession(nil, &most))); diff != "" {
		t.Errorf("a session with the most differs (- want, + got):\n%s", diff)
	}
	page := sessions.Page{Items: []sessions.View{least, most}, TotalCount: 7, NextCursor: "AQ_-"}
	if diff := cmp.Diff(`{"items":[`+wantLeast+`,`+wantMost+`],"total_count":7,"next_cursor":"AQ_-"}`, string(sessions.AppendPage(nil, &page))); diff != "" {
		t.Errorf("a page differs (- want, + got):\n%s", diff)
	}
	if got, want := string(sessions.AppendPage(nil, &sessions.Page{})), `{"items":[],"total_count":0}`; got != want {
		t.Errorf("an empty page is %s, want %s", got, want)
	}
}

// FuzzAppendSession: whatever text people gave a session, the output is JSON that reads back as that
// text, with U+FFFD for bytes that are no UTF-8.
func FuzzAppendSession(f *testing.F) {
	for _, text := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "é鍵🔑\u2028\u2029\ufffd", "\xff\xc3(", "\xed\xa0\x80", "</script>"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := sessions.View{Session: querytest.NewSession()}
		s.Comments, s.DeviceMACAddress, s.FlightNumbers = &text, text, []string{text, text}
		out := sessions.AppendSession(nil, &s)
		var got struct {
			Comments string   `json:"comments"`
			MAC      string   `json:"device_mac_address"`
			Flights  []string `json:"flight_numbers"`
		}
		if err := json.Unmarshal(out, &got); err != nil || !utf8.Valid(out) {
			t.Fatalf("%v: %q", err, out)
		}
		want := string([]rune(text))
		if got.Comments != want || got.MAC != want || len(got.Flights) != 2 || got.Flights[1] != want {
			t.Errorf("%q reads back as %q", want, got)
		}
	})
}
