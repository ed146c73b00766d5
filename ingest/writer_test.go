package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// outcome is what Ingest returned.
type outcome struct {
	result Result
	err    error
}

// ingest calls Ingest in the background.
func (s *service) ingest(ctx context.Context, body string) <-chan outcome {
	answer := make(chan outcome, 1)
	go func() {
		result, err := s.try(ctx, registry.Caller{OrgID: ours}, body)
		answer <- outcome{result, err}
	}()
	return answer
}

// queued waits until so many requests stand in the writer's queue.
func (s *service) queued(n int) {
	s.tb.Helper()
	for s.tb.Context().Err() == nil {
		if got, _, _ := s.writer.queue.stats(); got == n {
			return
		}
		runtime.Gosched()
	}
}

func TestIngestFindsTheSessionThatAPointMeans(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	ctx := t.Context()
	device, session := s.session(ours, "AA:BB:CC:DD:EE:01")
	device2, session2 := s.session(ours, "van-2")
	idle, err := s.registry.RegisterDevice(ctx, ours, registry.NewDevice{DeviceMACAddress: new("van-3"), SchemaVersion: new(1)})
	if err != nil {
		t.Fatal(err)
	}
	foreignDevice, foreign := s.session(theirs, "van-4")
	sharing := []string{ours}
	if err := s.registry.UpdateSharedOrgs(ctx, theirs, foreign, sharing, nil); err != nil {
		t.Fatal(err)
	}
	_, over := s.session(ours, "van-5")
	if err := s.registry.TerminateSession(ctx, ours, over); err != nil {
		t.Fatal(err)
	}

	any, bound := registry.Caller{OrgID: ours}, registry.Caller{OrgID: ours, DeviceID: device}
	for _, tt := range []struct {
		name   string
		caller registry.Caller
		names  string
		at     time.Time
		want   schema.ID // zero when rejected
		detail string
	}{
		{"by session_id", any, `"session_id":"` + session.String() + `"`, start, session, ""},
		{"by session_id in capitals", any, `"session_id":"` + strings.ToUpper(session.String()) + `"`, start, session, ""},
		{"by device_id", any, `"device_id":"` + device.String() + `"`, start, session, ""},
		{"by device_mac_address", any, `"device_mac_address":"aabb.ccdd.ee01"`, start, session, ""},
		{"by all three", any, `"session_id":"` + session.String() + `","device_id":"` + device.String() + `","device_mac_address":"AABBCCDDEE01"`, start, session, ""},
		{"with a bound credential", bound, `"device_id":"` + device.String() + `"`, start, session, ""},
		{"up to a minute ahead of the clock", any, `"session_id":"` + session.String() + `"`, start.Add(time.Minute), session, ""},
		{"late, of an ended session", any, `"session_id":"` + over.String() + `"`, start, over, ""},

		{"more than a minute ahead of the clock", any, `"session_id":"` + session.String() + `"`, start.Add(time.Minute + time.Millisecond), schema.ID{}, detailFuture},
		{"1,024 weeks back to the day", any, `"session_id":"` + session.String() + `"`, start.Add(-1024*7*24*time.Hour + time.Hour), schema.ID{}, detailRollover},
		{"after the session's end", any, `"session_id":"` + over.String() + `"`, start.Add(time.Millisecond), schema.ID{}, detailAfterEnd},
		{"of no session", any, `"session_id":"` + schema.NewID().String() + `"`, start, schema.ID{}, registry.DetailNoSession},
		{"of another organisation's session, though shared", any, `"session_id":"` + foreign.String() + `"`, start, schema.ID{}, registry.DetailNoSession},
		{"of another session with a bound credential", bound, `"session_id":"` + session2.String() + `"`, start, schema.ID{}, registry.DetailBound},
		{"of no device", any, `"device_id":"` + schema.NewID().String() + `"`, start, schema.ID{}, registry.DetailNoDevice},
		{"of another organisation's device", any, `"device_id":"` + foreignDevice.String() + `"`, start, schema.ID{}, registry.DetailNoDevice},
		{"of another device with a bound credential", bound, `"device_id":"` + device2.String() + `"`, start, schema.ID{}, registry.DetailBound},
		{"of no device with a bound credential", bound, `"device_id":"` + schema.NewID().String() + `"`, start, schema.ID{}, registry.DetailBound},
		{"of another organisation's device with a bound credential", bound, `"device_id":"` + foreignDevice.String() + `"`, start, schema.ID{}, registry.DetailBound},
		{"of another organisation's session with a bound credential", bound, `"session_id":"` + foreign.String() + `"`, start, schema.ID{}, registry.DetailBound},
		{"of no address", any, `"device_mac_address":"van-99"`, start, schema.ID{}, registry.DetailNoMAC},
		{"of another organisation's address", any, `"device_mac_address":"van-4"`, start, schema.ID{}, registry.DetailNoMAC},
		{"of another address with a bound credential", bound, `"device_mac_address":"van-2"`, start, schema.ID{}, registry.DetailBound},
		{"of a device without a session", any, `"device_id":"` + idle.String() + `"`, start, schema.ID{}, registry.DetailNoActive},
		{"of a device whose session has ended", any, `"device_mac_address":"VAN-5"`, start, schema.ID{}, registry.DetailNoActive},
		{"of a session and another device", any, `"session_id":"` + session.String() + `","device_id":"` + device2.String() + `"`, start, schema.ID{}, registry.DetailDisagree},
		{"of a session and another address", any, `"session_id":"` + session.String() + `","device_mac_address":"van-2"`, start, schema.ID{}, registry.DetailDisagree},
		{"of a device and another address", any, `"device_id":"` + device.String() + `","device_mac_address":"van-2"`, start, schema.ID{}, registry.DetailDisagree},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := fmt.Sprintf(`{%s,"timestamp":%q,"latitude":1,"longitude":2}`, tt.names, tt.at.Format(time.RFC3339Nano))
			s.reader.published = nil
			result, err := s.try(ctx, tt.caller, body)
			if err != nil {
				t.Fatal(err)
			}
			want := Result{Accepted: 1, Rejected: []decode.Rejection{}}
			if tt.detail != "" {
				want = Result{Rejected: []decode.Rejection{{Index: 0, Detail: tt.detail}}}
			}
			if d := schematest.Diff(want, result); d != "" {
				t.Fatalf("(-want +got):\n%s", d)
			}
			if tt.detail != "" {
				if n := s.reader.publishedCalls(); len(n) != 0 {
					t.Errorf("a rejected point was published")
				}
				return
			}
			got := s.reader.published[0][0]
			if got.SessionID != tt.want || got.OrgID != ours || got.Timestamp != tt.at.UnixMilli() {
				t.Errorf("published %+v, want session %v", got, tt.want)
			}
			owner, _ := s.registry.DeviceOf(ours, tt.want)
			if got.DeviceID != owner {
				t.Errorf("published with device %v, want %v", got.DeviceID, owner)
			}
		})
	}
}

func TestIngestAnswersForEveryPoint(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	body := lines(fix{session, 1, 10}) + "5\n" + lines(fix{schema.NewID(), 1, 10}, fix{session, 2, 20}) + `{"latitude":1}` + "\n"
	result, err := s.try(t.Context(), registry.Caller{OrgID: ours}, body)
	if err != nil {
		t.Fatal(err)
	}
	want := Result{Accepted: 2, Rejected: []decode.Rejection{{Index: 1, Detail: decode.DetailNotObject}, {Index: 2, Detail: registry.DetailNoSession}, {Index: 4, Detail: decode.DetailNoReference}}}
	if d := schematest.Diff(want, result); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if n := len(s.history(session)); n != 2 {
		t.Errorf("%d points are stored, want 2", n)
	}
	empty, err := s.try(t.Context(), registry.Caller{OrgID: ours}, "")
	if err != nil || empty.Accepted != 0 || empty.Rejected == nil {
		t.Errorf("an empty body: %+v, %v, want none accepted and none rejected", empty, err)
	}
	if n := s.writer.Budget().InUse(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
}

func TestIngestPublishesBeforeItAnswersAndStoresBeforeItPublishes(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	entered, proceed := s.reader.hold()
	answer := s.ingest(t.Context(), lines(fix{session, 1, 10}))
	<-entered
	if n := len(s.history(session)); n != 1 {
		t.Errorf("%d points are stored when they are published, want 1", n)
	}
	select {
	case o := <-answer:
		t.Fatalf("answered %+v before the point was shown", o)
	default:
	}
	proceed <- struct{}{}
	if o := <-answer; o.err != nil || o.result.Accepted != 1 {
		t.Errorf("answer = %+v, want 1 accepted", o)
	}
	if got := s.reader.shownTimestamp(session); got != (fix{second: 1}).timestamp() {
		t.Errorf("shown is %d after the answer", got)
	}
}

func TestRequestsThatArriveDuringAnInsertShareTheNext(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	entered, proceed := s.reader.hold()
	first := s.ingest(t.Context(), lines(fix{session, 0, 1}))
	<-entered
	var rest []<-chan outcome
	for i := range 5 {
		rest = append(rest, s.ingest(t.Context(), lines(fix{session, 10 + i, 1}, fix{session, 20 + i, 1})))
	}
	s.queued(5)
	proceed <- struct{}{}
	<-entered
	proceed <- struct{}{}
	for _, answer := range append(rest, first) {
		if o := <-answer; o.err != nil {
			t.Error(o.err)
		}
	}
	if got := s.reader.publishedCalls(); !slices.Equal(got, []int{1, 10}) {
		t.Errorf("groups of %v points, want [1 10]", got)
	}
}

func TestIngestWhenClickHouseFails(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 5, 1})
	before, shown := s.history(session), s.reader.shownTimestamp(session)

	entered, proceed := s.reader.hold()
	first := s.ingest(t.Context(), lines(fix{session, 6, 1}))
	<-entered
	var group []<-chan outcome
	for i := range 3 {
		group = append(group, s.ingest(t.Context(), lines(fix{session, 7 + i, 1}, fix{session, i, 1})))
	}
	s.queued(3)
	mend := schematest.BreakTable(t, s.db, "session_by_device_data_points")
	proceed <- struct{}{}
	if o := <-first; o.err != nil {
		t.Error(o.err)
	}
	for _, answer := range group {
		if o := <-answer; !errors.Is(o.err, schema.Unavailable) || o.result.Accepted != 0 {
			t.Errorf("answer = %+v, want ErrUnavailable", o)
		}
	}
	mend()
	if got := s.reader.shownTimestamp(session); got != shown+1000 {
		t.Errorf("shown is %d, want %d as before the failure", got, shown+1000)
	}
	if got := s.history(session); len(got) != len(before)+1 {
		t.Errorf("%d points are stored, want %d", len(got), len(before)+1)
	}
	if n := s.writer.Budget().InUse(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
	s.reader.entered = nil
	s.send(fix{session, 9, 1}, fix{session, 0, 1})
	if got := len(s.history(session)); got != len(before)+3 {
		t.Errorf("%d points are stored after the next write, want %d", got, len(before)+3)
	}
}

// An insert whose answer was lost may have happened. The table is broken so that the writer sees it
// fail, and then the rows are put there behind its back.
func TestIngestSettlesWhatWasWrittenUnacknowledged(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	device, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 1})
	lost := []fix{{session, 5, 50}, {session, 6, 60}, {session, 7, 70}}

	mend := schematest.BreakTable(t, s.db, "session_by_device_data_points")
	if _, err := s.try(t.Context(), registry.Caller{OrgID: ours}, lines(lost...)); !errors.Is(err, schema.Unavailable) {
		t.Fatalf("err = %v, want ErrUnavailable", err)
	}
	mend()
	ghostReceived := s.clock.Now().UnixMilli()
	var ghosts []schema.OwnedPoint
	for _, f := range lost {
		p := schema.NewDataPoint(session, f.timestamp(), int32(f.latitude)*1e7, 7e7)
		p.ReceivedAt = ghostReceived
		ghosts = append(ghosts, schema.OwnedPoint{DataPoint: p, OrgID: ours, DeviceID: device})
	}
	if err := s.db.InsertDataPoints(t.Context(), ghosts); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(time.Minute)

	// Resent as they were: they stay as they are, and are shown now.
	s.send(lost[0])
	if got := s.reader.shownTimestamp(session); got != lost[0].timestamp() {
		t.Errorf("shown is %d, want %d", got, lost[0].timestamp())
	}
	// Resent with other values: the acknowledged ones count, though the ghost is newer than
	// everything that last_seen knows.
	s.send(fix{session, 6, 61})
	got := s.history(session)
	if len(got) != 4 || got[1].ReceivedAt != ghostReceived || got[2].Latitude != 61e7 {
		t.Errorf("stored %+v, want the point at 5 s as first received, and the one at 6 s replaced", got)
	}
}

// A server may go on with an insert that we have given up, and finish it after the points were sent
// again with other values: what was acknowledged counts.
func TestIngestWinsOverAnInsertThatFinishesLate(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	device, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 10}) // so that the next needs no look-up, which would fail before the insert
	mend := schematest.BreakTable(t, s.db, "session_by_device_data_points")
	lost := fix{session, 5, 50}
	if _, err := s.try(t.Context(), registry.Caller{OrgID: ours}, lines(lost)); !errors.Is(err, schema.Unavailable) {
		t.Fatalf("err = %v, want ErrUnavailable", err)
	}
	mend()
	ghost := schema.NewDataPoint(session, lost.timestamp(), 50e7, 7e7)
	ghost.ReceivedAt = s.clock.Now().UnixMilli()
	s.clock.Advance(time.Minute)
	s.send(fix{session, 5, 51})
	if err := s.db.InsertDataPoints(t.Context(), []schema.OwnedPoint{{DataPoint: ghost, OrgID: ours, DeviceID: device}}); err != nil {
		t.Fatal(err)
	}
	if got := s.history(session); len(got) != 2 || got[1].Latitude != 51e7 {
		t.Errorf("stored %+v, want the acknowledged point", got)
	}
}

func TestIngestIsBusyPastItsBudget(t *testing.T) {
	t.Parallel()
	budget := decode.NewBudget(130_000) // enough for whatever Batch the pool has
	s := newService(t, WriterOptions{Budget: budget})
	_, session := s.session(ours, "van-1")
	entered, proceed := s.reader.hold()
	first := s.ingest(t.Context(), lines(fix{session, 1, 1}))
	<-entered
	unbudgeted, err := decode.Body(strings.NewReader(lines(fix{session, 2, 1})), decode.NDJSON, decode.Identity, decode.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	unbudgeted.Points = slices.Grow(unbudgeted.Points, 4096)
	if _, err := s.writer.Ingest(t.Context(), registry.Caller{OrgID: ours}, unbudgeted); !errors.Is(err, schema.Busy) {
		t.Errorf("err = %v, want ErrBusy", err)
	}
	if _, _, err := s.writer.MarkOutliers(t.Context(), ours, make([]string, MaxMarks), true); !errors.Is(err, schema.Busy) {
		t.Errorf("marking: err = %v, want ErrBusy", err)
	}
	proceed <- struct{}{}
	if o := <-first; o.err != nil {
		t.Error(o.err)
	}
	if n := budget.InUse(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
}

func TestIngestStopsWaitingWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	entered, proceed := s.reader.hold()
	ctx, cancel := context.WithCancel(t.Context())
	written := s.ingest(ctx, lines(fix{session, 1, 1}))
	<-entered
	waiting := s.ingest(ctx, lines(fix{session, 2, 1}))
	s.queued(1)
	cancel()
	for _, answer := range []<-chan outcome{written, waiting} {
		if o := <-answer; !errors.Is(o.err, context.Canceled) {
			t.Errorf("err = %v, want context.Canceled", o.err)
		}
	}
	proceed <- struct{}{}
	s.reader.entered = nil
	s.writer.Close()
	if got := s.history(session); len(got) != 1 || got[0].Timestamp != (fix{second: 1}).timestamp() {
		t.Errorf("stored %+v, want the point that was being written and not the one that nobody waits for", got)
	}
	if n := s.writer.Budget().InUse(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
}

func TestCloseAnswersEverythingThatWasAdmitted(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	entered, proceed := s.reader.hold()
	answers := []<-chan outcome{s.ingest(t.Context(), lines(fix{session, 0, 1}))}
	<-entered
	for i := range 4 {
		answers = append(answers, s.ingest(t.Context(), lines(fix{session, 1 + i, 1})))
	}
	s.queued(4)
	closed := make(chan struct{})
	go func() {
		s.writer.Close()
		close(closed)
	}()
	proceed <- struct{}{}
	<-entered
	proceed <- struct{}{}
	for _, answer := range answers {
		if o := <-answer; o.err != nil || o.result.Accepted != 1 {
			t.Errorf("answer = %+v, want 1 accepted", o)
		}
	}
	<-closed
	if n := len(s.history(session)); n != 5 {
		t.Errorf("%d points are stored, want 5", n)
	}
	if _, err := s.try(t.Context(), registry.Caller{OrgID: ours}, lines(fix{session, 9, 1})); !errors.Is(err, schema.Busy) {
		t.Errorf("after Close: err = %v, want ErrBusy", err)
	}
	if n := s.writer.Budget().InUse(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
	s.writer.Close()
}
