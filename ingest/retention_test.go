package ingest

import (
	"fmt"
	"testing"
	"time"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema/schematest"
)

func TestIngestRejectsWhatTheRetentionWouldDrop(t *testing.T) {
	t.Parallel()
	const retention = 30 * 24 * time.Hour
	s := newService(t, WriterOptions{Retention: retention})
	_, session := s.session(ours, "van-1")
	now := s.clock.Now().UnixMilli()
	for _, tt := range []struct {
		timestamp int64
		detail    string
	}{
		{now, ""},
		{now - retention.Milliseconds(), ""},
		{now - retention.Milliseconds() - 1, "timestamp lies further back than the 30 days for which this service keeps points: the point would be dropped again."},
	} {
		result, err := s.try(t.Context(), registry.Caller{OrgID: ours}, fmt.Sprintf(
			`{"session_id":"%s","timestamp":%q,"latitude":1,"longitude":2}`, session, time.UnixMilli(tt.timestamp).UTC().Format(time.RFC3339Nano)))
		if err != nil {
			t.Fatal(err)
		}
		want := Result{Accepted: 1, Rejected: []decode.Rejection{}}
		if tt.detail != "" {
			want = Result{Rejected: []decode.Rejection{{Index: 0, Detail: tt.detail}}}
		}
		if d := schematest.Diff(want, result); d != "" {
			t.Errorf("%v old (-want +got):\n%s", time.Duration(now-tt.timestamp)*time.Millisecond, d)
		}
	}
	if n := s.writer.Stats().Rejected["expired"]; n != 1 {
		t.Errorf("%d points are counted as expired, want 1", n)
	}
}
