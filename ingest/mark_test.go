package ingest

import (
	"errors"
	"testing"
	"time"

	"lastseen/ingest/registry"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

func (s *service) mark(outlier bool, successful, failed int, ids ...string) {
	s.tb.Helper()
	gotSuccessful, gotFailed, err := s.writer.MarkOutliers(s.tb.Context(), ours, ids, outlier)
	if err != nil || gotSuccessful != successful || gotFailed != failed {
		s.tb.Errorf("MarkOutliers(%v, %v) = %d, %d, %v, want %d, %d", ids, outlier, gotSuccessful, gotFailed, err, successful, failed)
	}
}

func TestMarkOutliers(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	_, foreign := s.session(theirs, "van-2")
	older, newest := fix{session, 1, 10}, fix{session, 2, 20}
	s.send(older, newest)
	if _, err := s.try(t.Context(), registry.Caller{OrgID: theirs}, lines(fix{foreign, 1, 10})); err != nil {
		t.Fatal(err)
	}
	original := s.history(session)
	s.clock.Advance(time.Hour)

	s.mark(true, 1, 0, newest.id())
	if got := s.reader.shownTimestamp(session); got != older.timestamp() {
		t.Errorf("marking the newest point shows %d, want %d", got, older.timestamp())
	}
	marked := s.history(session)
	if marked[1].Outlier != schema.OutlierByUser || marked[1].ReceivedAt != original[1].ReceivedAt || !marked[1].SameValues(&original[1]) {
		t.Errorf("stored %+v, want %+v with a mark", marked[1], original[1])
	}
	s.mark(true, 3, 0, newest.id(), newest.id(), newest.id())
	if d := schematest.Diff(marked, s.history(session)); d != "" {
		t.Errorf("marking again changed (-before +after):\n%s", d)
	}
	s.mark(true, 1, 5, older.id(), "", "nobody", newest.id()+"0", fix{session, 3, 0}.id(), fix{foreign, 1, 0}.id())
	if got := s.reader.shownTimestamp(session); got != 0 {
		t.Errorf("with all points marked %d is shown, want none", got)
	}
	s.mark(false, 2, 0, older.id(), newest.id())
	if got := s.reader.shownTimestamp(session); got != newest.timestamp() {
		t.Errorf("unmarking shows %d, want %d", got, newest.timestamp())
	}
	for i, p := range s.history(session) {
		if p.Outlier != schema.NotOutlier || p.ReceivedAt != original[i].ReceivedAt {
			t.Errorf("stored %+v, want %+v again", p, original[i])
		}
	}
	if theirs := s.history(foreign); theirs[0].Outlier != schema.NotOutlier {
		t.Error("another organisation's point was marked")
	}
	_, _, err := s.writer.MarkOutliers(t.Context(), ours, make([]string, MaxMarks+1), true)
	if field := schematest.InvalidField(err); field != "tracking_session_by_device_data_point_ids" {
		t.Errorf("too many ids: %v", err)
	}
	if n := s.writer.Budget().InUse(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
}

func TestMarkSurvivesWhatDevicesSend(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	p := fix{session, 1, 10}
	s.send(p)
	s.mark(true, 1, 0, p.id())
	s.send(p)
	s.send(fix{session, 1, 11})
	s.restart()
	s.send(p)
	got := s.history(session)
	if len(got) != 1 || got[0].Outlier != schema.OutlierByUser || got[0].Latitude != 10e7 {
		t.Errorf("stored %+v, want the point with its mark", got)
	}
	if shown := s.reader.shownTimestamp(session); shown != 0 {
		t.Errorf("%d is shown, want none", shown)
	}
}

func TestMarkOutliersWhenClickHouseFails(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	p := fix{session, 1, 10}
	s.send(p)

	mend := schematest.BreakTable(t, s.db, "session_by_device_data_points")
	if _, _, err := s.writer.MarkOutliers(t.Context(), ours, []string{p.id()}, true); !errors.Is(err, schema.Unavailable) {
		t.Errorf("err = %v, want ErrUnavailable", err)
	}
	mend()
	if got := s.history(session); got[0].Outlier != schema.NotOutlier || s.reader.shownTimestamp(session) != p.timestamp() {
		t.Errorf("stored %+v, shown %d: want no change", got, s.reader.shownTimestamp(session))
	}

	// The mark is written, but last_seen cannot be told.
	s.reader.endErr = errors.New("out of reach")
	if _, _, err := s.writer.MarkOutliers(t.Context(), ours, []string{p.id()}, true); !errors.Is(err, schema.Unavailable) {
		t.Errorf("err = %v, want ErrUnavailable", err)
	}
	s.reader.endErr = nil
	s.mark(true, 1, 0, p.id())
	if got := s.reader.shownTimestamp(session); got != 0 {
		t.Errorf("%d is shown after the mark was acknowledged, want none", got)
	}
}
