package ingest

import (
	"strings"
	"testing"

	"lastseen/ingest/registry"
	"lastseen/schema/schematest"
)

func TestWriterStats(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 10}, fix{session, 2, 10})
	s.send(fix{session, 2, 10}, fix{session, 3, 10}) // one of them again
	s.send(fix{session, 3, 10})                      // nothing to insert
	body := lines(fix{session, 999_999, 10}) + `{"session_id":"` + session.String() + `","timestamp":"2026-01-15T11:00:00Z","latitude":91,"longitude":0}` + "\n" + `{}` + "\n[]\n"
	if _, err := s.try(t.Context(), registry.Caller{OrgID: ours}, body); err != nil {
		t.Fatal(err)
	}
	if _, err := s.try(t.Context(), registry.Caller{OrgID: theirs}, lines(fix{session, 4, 10})); err != nil {
		t.Fatal(err)
	}
	stats := s.writer.Stats()
	if inserts, points := stats.InsertTime.Count(), stats.GroupPoints.Sum; inserts != 2 || points != 3 || stats.Repeated != 2 || stats.InsertFailures != 0 {
		t.Errorf("%d inserts of %d points, %d repeated, %d failures", inserts, points, stats.Repeated, stats.InsertFailures)
	}
	for reason, want := range map[string]uint64{"future": 1, "out_of_range": 1, "no_session": 2, "malformed": 1, "too_old": 0} {
		if got := stats.Rejected[reason]; got != want {
			t.Errorf("%d points were rejected as %s, want %d", got, reason, want)
		}
	}
	mend := schematest.BreakTable(t, s.db, "session_by_device_data_points")
	defer mend()
	s.try(t.Context(), registry.Caller{OrgID: ours}, lines(fix{session, 9, 10}))
	if stats := s.writer.Stats(); stats.InsertFailures != 1 {
		t.Errorf("%d failures after one", stats.InsertFailures)
	}
}

func TestReasonsAreWordsForLabels(t *testing.T) {
	t.Parallel()
	for detail, reason := range reasons {
		if strings.Trim(reason, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("%q is counted as %q", detail, reason)
		}
	}
}
