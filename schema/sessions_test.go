package schema_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

func inUTC(s schema.Session) schema.Session {
	s.CreatedAt = s.CreatedAt.UTC()
	for _, at := range []**time.Time{&s.TerminationScheduledFor, &s.TerminatedAt} {
		if *at != nil {
			*at = ptr((*at).UTC())
		}
	}
	if len(s.SharedWithOrgIDs)+len(s.FlightNumbers)+len(s.FlightLoadedStatuses)+len(s.FlightLegIDs) == 0 {
		s.SharedWithOrgIDs, s.FlightNumbers, s.FlightLoadedStatuses, s.FlightLegIDs = nil, nil, nil, nil
	}
	return s
}

func TestSaveSession(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	at := time.UnixMilli(1768469400120).UTC()
	var want []schema.Session
	for i, text := range awkward {
		s := schema.Session{ID: schema.NewID(), OrgID: "org_" + text, DeviceID: schema.NewID(), DeviceMACAddress: text, CreatedAt: at, Version: uint64(i)}
		if i > 0 { // the first has none
			s.Comments, s.OffChrtReferenceID, s.OffChrtShipperOrgDataID = ptr(text), ptr("r"+text), ptr(text+text)
			s.Public = ptr(i%2 == 0)
			s.SharedWithOrgIDs = []string{"org_b", text, "", "org_'\\"}
			s.TerminationScheduledFor, s.TerminatedAt = ptr(at.Add(time.Hour)), ptr(at.Add(time.Minute))
			s.FlightNumbers, s.FlightLoadedStatuses, s.FlightLegIDs = []string{text}, []string{"loaded", text}, []string{"x"}
		}
		if err := db.SaveSession(t.Context(), s); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		want = append(want, s)
	}
	newer := want[1]
	newer.Version, newer.Comments, newer.TerminationScheduledFor, newer.SharedWithOrgIDs = 9, nil, nil, []string{"org_z"}
	for _, s := range []schema.Session{newer, want[1]} { // the older one arrives last and loses
		if err := db.SaveSession(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	want[1] = newer
	for _, s := range want {
		got, found, err := db.FindSession(t.Context(), s.OrgID, s.ID)
		if err != nil || !found {
			t.Fatalf("FindSession: %v, %v", found, err)
		}
		if diff := cmp.Diff(s, inUTC(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	readAll(t, db, want)
	if _, found, err := db.FindSession(t.Context(), "org_other", want[0].ID); found || err != nil {
		t.Errorf("another organisation: found %v, error %v", found, err)
	}
}

// readAll reads all sessions one by one, and in batches of many sizes whose memory held others before.
func readAll(t *testing.T, db *schema.DB, want []schema.Session) {
	t.Helper()
	read := map[string]map[schema.ID]schema.Session{"each": {}}
	if err := db.EachSession(t.Context(), func(s schema.Session) { read["each"][s.ID] = s }); err != nil {
		t.Fatal(err)
	}
	for size := 1; size <= len(want)+1; size++ {
		batch, all := make([]schema.Session, 0, size), map[schema.ID]schema.Session{}
		err := db.ReadSessions(t.Context(), batch, func(some []schema.Session) []schema.Session {
			if len(some) == 0 || len(some) < size && len(all)+len(some) < len(want) {
				t.Errorf("a batch of %d has %d sessions", size, len(some))
			}
			for _, s := range some {
				all[s.ID] = s
			}
			return batch
		})
		if err != nil {
			t.Fatal(err)
		}
		read[fmt.Sprintf("batches of %d", size)] = all
	}
	for how, all := range read {
		if len(all) != len(want) {
			t.Errorf("%s: read %d sessions, want %d", how, len(all), len(want))
		}
		for _, s := range want {
			if diff := cmp.Diff(s, all[s.ID], equateEmpty); diff != "" {
				t.Errorf("%s (-want +got):\n%s", how, diff)
			}
		}
	}
}

// equateEmpty makes nil and empty lists equal.
var equateEmpty = cmp.Transformer("list", func(list []string) []string { return append([]string{}, list...) })

// TestASessionIsSharedWithAsManyAsMayBe saves the longest lists, which are longer than a server lets a
// parameter be.
func TestASessionIsSharedWithAsManyAsMayBe(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	want := schema.Session{ID: schema.NewID(), OrgID: "org_a", DeviceID: schema.NewID(), CreatedAt: time.UnixMilli(1768469400120).UTC()}
	for i := range 1000 {
		want.SharedWithOrgIDs = append(want.SharedWithOrgIDs, fmt.Sprintf("org_%0124d", i))
	}
	want.FlightNumbers = want.SharedWithOrgIDs
	if err := db.SaveSession(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, found, err := db.FindSession(t.Context(), want.OrgID, want.ID)
	if err != nil || !found {
		t.Fatalf("FindSession: %v, %v", found, err)
	}
	if diff := schematest.Diff(want, inUTC(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSessionEndedAt(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1768469400120).UTC()
	before, after := now.Add(-time.Second), now.Add(time.Second)
	for name, tt := range map[string]struct {
		s    schema.Session
		want time.Time // zero while active
	}{
		"active":                       {schema.Session{}, time.Time{}},
		"scheduled":                    {schema.Session{TerminationScheduledFor: &after}, time.Time{}},
		"due":                          {schema.Session{TerminationScheduledFor: &now}, now},
		"overdue":                      {schema.Session{TerminationScheduledFor: &before}, before},
		"terminated":                   {schema.Session{TerminatedAt: &before}, before},
		"terminated before its time":   {schema.Session{TerminatedAt: &before, TerminationScheduledFor: &after}, before},
		"terminated as of the future":  {schema.Session{TerminatedAt: &after}, after},
		"terminated and overdue later": {schema.Session{TerminatedAt: &before, TerminationScheduledFor: &now}, before},
	} {
		got, ended := tt.s.EndedAt(now)
		if !got.Equal(tt.want) || ended == tt.want.IsZero() {
			t.Errorf("%s: EndedAt = %v, %v, want %v", name, got, ended, tt.want)
		}
	}
}
