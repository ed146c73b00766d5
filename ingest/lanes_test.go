package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema"
)

// aMonth is in seconds, a little more than the longest.
const aMonth = 31*24*3600 + 1

// monthly returns one fix a month of a session, back from the tests' time.
func monthly(session schema.ID, months int) (fixes []fix) {
	for i := range months {
		fixes = append(fixes, fix{session, -i * aMonth, 1 + i%80})
	}
	return fixes
}

// inARow returns fixes of a session, a second each, from one on.
func inARow(session schema.ID, from, n int) (fixes []fix) {
	for i := range n {
		fixes = append(fixes, fix{session, from + i, 1 + i%80})
	}
	return fixes
}

// from calls Ingest for an organisation in the background.
func (s *service) from(org string, fixes ...fix) <-chan outcome {
	answer := make(chan outcome, 1)
	go func() {
		result, err := s.try(s.tb.Context(), registry.Caller{OrgID: org}, lines(fixes...))
		answer <- outcome{result, err}
	}()
	return answer
}

// sendFrom is send for an organisation.
func (s *service) sendFrom(org string, fixes ...fix) {
	s.tb.Helper()
	if o := <-s.from(org, fixes...); o.err != nil || o.result.Accepted != len(fixes) {
		s.tb.Errorf("Ingest = %+v, want %d accepted", o, len(fixes))
	}
}

// publishes returns how many steps have begun to be shown, and in which of them a point is, where it is shown.
func (r *reader) publishes(f fix) (begun, at int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at = -1
	for i, points := range r.published {
		if slices.ContainsFunc(points, func(p schema.OwnedPoint) bool {
			return p.SessionID == f.session && p.Timestamp == f.timestamp()
		}) {
			at = i
		}
	}
	return len(r.published), at
}

// arrived waits until a request of an organisation waits for the committer, or has been answered.
func (s *service) arrived(org string, answer <-chan outcome) (o outcome, answered bool) {
	for {
		select {
		case o := <-answer:
			return o, true
		default:
		}
		s.writer.queue.mu.Lock()
		waits := s.writer.queue.byOrg[org] > 0
		s.writer.queue.mu.Unlock()
		if waits || s.tb.Context().Err() != nil {
			return outcome{}, false
		}
		runtime.Gosched()
	}
}

// TestNobodyWaitsForWhatAnotherOrganisationBrings: an organisation brings what takes the committer long, over many
// connections. Each point of another is acknowledged within three steps: the one that runs, a slice, and its own; and
// no step has much of the attack.
func TestNobodyWaitsForWhatAnotherOrganisationBrings(t *testing.T) {
	t.Parallel()
	const connections, many = 2, 800
	for name, attack := range map[string]struct {
		stored []fix // before, of each session
		sent   func(connection int) []fix
	}{
		"a point a month":          {monthly(schema.ID{}, 6), func(int) []fix { return monthly(schema.ID{}, 20) }},
		"repeats of stored points": {inARow(schema.ID{}, 0, many), func(int) []fix { return inARow(schema.ID{}, 0, many) }},
		"late points":              {inARow(schema.ID{}, many, 1), func(int) []fix { return inARow(schema.ID{}, 0, many) }},
		"very many points":         {nil, func(int) []fix { return inARow(schema.ID{}, 0, 12*many) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, WriterOptions{})
			s.clock.Advance(48 * time.Hour)
			_, mine := s.session(ours, "van-1")
			var attackers []schema.ID
			for i := range connections {
				_, session := s.session(theirs, fmt.Sprint("them-", i))
				attackers = append(attackers, session)
				s.sendFrom(theirs, of(session, attack.stored)...)
			}
			s.send(fix{mine, 0, 1}) // so that nobody is alone
			before, _ := s.reader.publishes(fix{})
			var attacks []<-chan outcome
			for i, session := range attackers {
				attacks = append(attacks, s.from(theirs, of(session, attack.sent(i))...))
			}
			for i := range 20 {
				point := fix{mine, 1 + i, 1}
				answer := s.from(ours, point)
				o, answered := s.arrived(ours, answer)
				begun, _ := s.reader.publishes(point)
				if !answered {
					o = <-answer
				}
				if _, at := s.reader.publishes(point); o.err != nil || at >= begun+3 {
					t.Errorf("point %d: %v, in the step %d, and %d were begun when it came", i, o.err, at, begun)
				}
			}
			for i, answer := range attacks {
				if o := <-answer; o.err != nil || o.result.Accepted != len(attack.sent(i)) {
					t.Errorf("the attack's answer is %+v, want all accepted", o)
				}
			}
			s.checkSteps(before)
			for i, session := range attackers {
				want := model{}
				want.send(start, attack.stored...)
				want.send(start, attack.sent(i)...)
				if got := len(s.history(session)); got != len(want) {
					t.Errorf("%d points of the attack are stored, want %d", got, len(want))
				}
			}
		})
	}
}

// of returns fixes as those of a session.
func of(session schema.ID, fixes []fix) []fix {
	fixes = slices.Clone(fixes)
	for i := range fixes {
		fixes[i].session = session
	}
	return fixes
}

// checkSteps looks at how much of another organisation the steps had, from one on.
func (s *service) checkSteps(from int) {
	s.tb.Helper()
	for i, points := range s.reader.published[from:] {
		months, rows := map[month]bool{}, 0
		for _, p := range points {
			if p.OrgID == theirs {
				months[monthOf(p.Timestamp)] = true
				rows++
			}
		}
		if most := 8_400; len(months) > 2 || rows > most {
			s.tb.Errorf("step %d had %d points in %d months of another organisation, want at most %d in 2", i, rows, len(months), most)
		}
	}
}

// TestWhoIsAloneHasLongSteps: while nobody else writes, a point a month takes few steps.
func TestWhoIsAloneHasLongSteps(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	s.send(monthly(session, 60)...)
	if steps := len(s.reader.publishedCalls()); steps > 10 {
		t.Errorf("%d steps for points in 60 months, want at most 10", steps)
	}
	if got := len(s.history(session)); got != 60 {
		t.Errorf("%d points are stored, want 60", got)
	}
}

// small makes slices of everything.
var small = limits{group: 20 * time.Millisecond, share: 2 * findCost, slice: 2 * findCost, alone: 3 * findCost, waiting: time.Minute}

// TestARequestIsAnsweredWhenItsLastSliceIsKept: until then not, and when a slice fails it is refused; sending it
// again makes it whole.
func TestARequestIsAnsweredWhenItsLastSliceIsKept(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{limits: small})
	_, session := s.session(ours, "van-1")
	entered, proceed := s.reader.hold()
	answer := s.from(ours, monthly(session, 3)...)
	for slice := range 3 {
		<-entered
		select {
		case o := <-answer:
			t.Fatalf("answered %+v in slice %d", o, slice)
		default:
		}
		if got := len(s.history(session)); got != slice+1 {
			t.Errorf("%d points are stored in slice %d, want %d", got, slice, slice+1)
		}
		if slice == 1 {
			s.faults.next(nil, notExecuted)
			proceed <- struct{}{}
			break
		}
		proceed <- struct{}{}
	}
	if o := <-answer; !errors.Is(o.err, schema.Unavailable) {
		t.Errorf("the answer is %+v, want schema.Unavailable since the last slice failed", o)
	}
	s.faults.next(nil, nil)
	s.reader.entered = nil
	s.send(monthly(session, 3)...)
	if got := len(s.history(session)); got != 3 {
		t.Errorf("%d points are stored, want 3", got)
	}
	if n := s.writer.Budget().InUse(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
}

// TestMarksOfManyPointsAreWrittenInSlices: and another organisation's point is acknowledged between them.
func TestMarksOfManyPointsAreWrittenInSlices(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{limits: small})
	_, session := s.session(ours, "van-1")
	fixes := inARow(session, 0, 40)
	s.send(fixes...)
	var ids []string
	for _, f := range fixes {
		ids = append(ids, f.id())
	}
	s.faults.log = nil
	s.mark(true, 41, 1, append(ids, ids[0], fix{session, 99, 0}.id())...)
	if finds := len(s.faults.log) / 2; finds < 5 {
		t.Errorf("the marks of 40 points took %d steps, want some", finds)
	}
	for i, p := range s.history(session) {
		if p.Outlier != schema.OutlierByUser {
			t.Errorf("point %d is not marked", i)
		}
	}
}

// TestRequestsOfOneSessionKeepTheirOrder: a usual request does not overtake a costly one that names its session.
func TestRequestsOfOneSessionKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{limits: small})
	_, session := s.session(ours, "van-1")
	entered, proceed := s.reader.hold()
	first := s.from(ours, append(monthly(session, 4), fix{session, 5, 1})...)
	<-entered
	second := s.from(ours, fix{session, 5, 2})
	s.queued(1)
	go func() {
		for range entered {
			proceed <- struct{}{}
		}
	}()
	proceed <- struct{}{}
	for _, answer := range []<-chan outcome{first, second} {
		if o := <-answer; o.err != nil {
			t.Error(o.err)
		}
	}
	points := s.history(session)
	if newest := points[len(points)-1]; newest.Latitude != 2e7 {
		t.Errorf("what came first is stored: %+v", newest)
	}
}

// TestCostlyRequestsAreRefusedPastTheirBound, and nobody else's for that.
func TestCostlyRequestsAreRefusedPastTheirBound(t *testing.T) {
	t.Parallel()
	bounded := defaultLimits
	bounded.waiting = 30 * monthCost
	s := newService(t, WriterOptions{limits: bounded})
	_, mine := s.session(ours, "van-1")
	_, their1 := s.session(theirs, "van-2")
	_, their2 := s.session(theirs, "van-3")
	entered, proceed := s.reader.hold()
	first := s.from(theirs, monthly(their1, 100)...) // an empty lane takes all
	<-entered
	second, point := s.from(theirs, monthly(their2, 20)...), s.from(ours, fix{mine, 1, 1})
	s.queued(2)
	go func() {
		for range entered {
			proceed <- struct{}{}
		}
	}()
	proceed <- struct{}{}
	if o := <-second; !errors.Is(o.err, schema.Busy) {
		t.Errorf("the second answer is %+v, want schema.Busy", o)
	}
	for _, answer := range []<-chan outcome{first, point} {
		if o := <-answer; o.err != nil {
			t.Error(o.err)
		}
	}
	if n := s.writer.Budget().InUse(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
}

// TestACostlyRequestThatNobodyWaitsForIsGivenUp between its slices.
func TestACostlyRequestThatNobodyWaitsForIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{limits: small})
	_, session := s.session(ours, "van-1")
	entered, proceed := s.reader.hold()
	ctx, cancel := context.WithCancel(t.Context())
	answer := s.ingest(ctx, lines(monthly(session, 30)...))
	<-entered
	cancel()
	if o := <-answer; !errors.Is(o.err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", o.err)
	}
	proceed <- struct{}{}
	s.reader.entered = nil
	s.writer.Close()
	if got := len(s.history(session)); got != 1 {
		t.Errorf("%d points are stored, want the one of the slice that ran", got)
	}
	if n := s.writer.Budget().InUse(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
}

// TestPointsAreArrangedByMonthAndSession, and of those with one identity the last stays.
func TestPointsAreArrangedByMonthAndSession(t *testing.T) {
	t.Parallel()
	january, june := time.Date(2025, 1, 31, 23, 59, 59, 0, time.UTC).UnixMilli(), time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	batch := &decode.Batch{Targets: make([]registry.Target, 2)}
	batch.Targets[0].Owner.Session, batch.Targets[1].Owner.Session = schema.ID{2}, schema.ID{1}
	for i, p := range []struct {
		target uint32
		at     int64
	}{{0, june}, {1, january}, {0, june + 1}, {1, june + 2}, {0, june}, {0, january}} {
		point := decode.Point{Target: p.target}
		point.Timestamp, point.Latitude = p.at, int32(i)
		batch.Points = append(batch.Points, point)
	}
	r := &request{batch: batch, rest: batch.Points}
	if june, later := r.mayBeCostly(june), r.mayBeCostly(january); !june || later {
		t.Errorf("it may be costly: %v with points before June, %v without", june, later)
	}
	r.arrange(june)
	var order []int32
	for _, p := range r.rest {
		order = append(order, p.Latitude)
	}
	if want := []int32{1, 5, 3, 4, 2}; !slices.Equal(order, want) || r.months != 1 || r.replaced != 1 {
		t.Errorf("the order is %v, with %d months before and %d replaced, want %v, 1 and 1", order, r.months, r.replaced, want)
	}
}

func TestMonthsBeginAndEndAtMidnightUTC(t *testing.T) {
	t.Parallel()
	m := monthOf(time.Date(2024, 2, 29, 23, 59, 59, 999e6, time.UTC).UnixMilli())
	want := month{time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC).UnixMilli()}
	if m != want || m.has(want.from-1) || !m.has(want.from) || !m.has(want.to-1) || m.has(want.to) {
		t.Errorf("the month is %v, want %v", m, want)
	}
	for now, from := range map[string]string{"2026-01-15T12:00:00Z": "2026-01-01T00:00:00Z", "2026-03-01T06:00:00Z": "2026-02-27T06:00:00Z"} {
		at, err := time.Parse(time.RFC3339, now)
		if got := time.UnixMilli(usualFrom(at.UnixMilli())).UTC().Format(time.RFC3339); err != nil || got != from {
			t.Errorf("at %s usual points are from %s on, want %s", now, got, from)
		}
	}
}
