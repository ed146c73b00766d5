package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lastseen/ingest/registry"
	"lastseen/schema"
	"lastseen/schema/schematest"
)

// faults stand between the committer and ClickHouse. The zero value lets everything through.
type faults struct {
	mu     sync.Mutex
	find   fault
	insert fault
	log    []string // the statements, in their order
	around []int    // of each look at the neighbours of points, in how many sessions
}

// fault does a statement's work or not, and returns what the committer is told.
type fault func(do func() error) error

var errInjected = errors.New("an injected fault")

// notExecuted fails without doing anything.
func notExecuted(func() error) error { return errInjected }

// executed does the work and says that it failed.
func executed(do func() error) error { return errors.Join(do(), errInjected) }

// next puts faults around the next statements; nil is none.
func (f *faults) next(find, insert fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.find, f.insert = find, insert
}

// note adds a line to the log.
func (f *faults) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, what)
}

func (f *faults) take(what string, which *fault) fault {
	f.note(what)
	f.mu.Lock()
	defer f.mu.Unlock()
	if *which == nil {
		return func(do func() error) error { return do() }
	}
	return *which
}

// wrap puts the faults around a store.
func (f *faults) wrap(s store) store {
	return store{
		find: func(ctx context.Context, keys []schema.PointKey) (found map[schema.PointKey]schema.DataPoint, err error) {
			err = f.take("find", &f.find)(func() error { found, err = s.find(ctx, keys); return err })
			return found, err
		},
		insert: func(ctx context.Context, rows []schema.OwnedPoint) error {
			if len(rows) == 0 {
				return s.insert(ctx, rows)
			}
			return f.take("insert", &f.insert)(func() error { return s.insert(ctx, rows) })
		},
		newestPoints: s.newestPoints,
		around: func(ctx context.Context, times []schema.Around, before, after int) (map[schema.ID][]schema.DataPoint, error) {
			f.note("around")
			f.mu.Lock()
			f.around = append(f.around, len(times))
			f.mu.Unlock()
			return s.around(ctx, times, before, after)
		},
	}
}

// TestStagesFollowEachOther looks at the order in which a group is looked up, inserted, announced and acknowledged.
func TestStagesFollowEachOther(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 5, 50})
	s.faults.log = nil
	entered, proceed := s.reader.hold()
	answered := s.ingest(t.Context(), lines(fix{session, 4, 40}, fix{session, 6, 60})) // of which one may be a repeat
	<-entered
	s.faults.note("publish")
	if got := s.history(session); len(got) != 3 {
		t.Errorf("when they are announced %d points are stored, want 3", len(got))
	}
	select {
	case <-answered:
		t.Error("the request was answered before everybody had heard of its points")
	default:
	}
	proceed <- struct{}{}
	<-answered
	if want := []string{"find", "insert", "publish"}; !slices.Equal(s.faults.log, want) {
		t.Errorf("the stages were %v, want %v", s.faults.log, want)
	}
}

// TestAGroupWhoseOutcomeIsUnknown: what is acknowledged afterwards is stored once, and the feed waits until the rows of
// the insert have appeared or never will.
func TestAGroupWhoseOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]fault{"that was executed": executed, "that was not executed": notExecuted} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, WriterOptions{})
			_, session := s.session(ours, "van-1")
			s.send(fix{session, 1, 10})
			s.clock.Advance(time.Second)
			settled := s.writer.ReceivedThrough()
			first, second := fix{session, 2, 20}, fix{session, 3, 30}
			s.faults.next(nil, outcome)
			if _, err := s.try(t.Context(), registry.Caller{OrgID: ours}, lines(first, second)); !errors.Is(err, schema.Unavailable) || !errors.Is(err, errInjected) {
				t.Fatalf("err = %v, want schema.Unavailable with its cause", err)
			}
			if got := s.reader.shownTimestamp(session); got != (fix{session, 1, 10}).timestamp() {
				t.Errorf("the point at %d is shown, which was not acknowledged", got)
			}
			s.faults.next(nil, nil)
			s.clock.Advance(time.Second)
			second.latitude = 31 // the device has corrected itself meanwhile
			s.send(first, second)
			got := s.history(session)
			if len(got) != 3 || got[1].Latitude != 20e7 || got[2].Latitude != 31e7 {
				t.Errorf("stored are %+v, want what was acknowledged, once", got)
			}
			if now := s.reader.shownTimestamp(session); now != second.timestamp() {
				t.Errorf("the point at %d is shown, want the one that was acknowledged", now)
			}
			if now := s.writer.ReceivedThrough(); now > s.clock.Now().Add(-time.Second).UnixMilli() || now < settled {
				t.Errorf("after the failure the feed goes through %d, %d before", now, settled)
			}
			s.clock.Advance(settleTime)
			if now := s.writer.ReceivedThrough(); now < got[2].ReceivedAt {
				t.Errorf("when the failure has settled the feed goes through %d, want %d", now, got[2].ReceivedAt)
			}
		})
	}
}

func TestALookUpThatFailsWritesNothing(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 5, 50})
	s.faults.log = nil
	s.faults.next(notExecuted, nil)
	if _, err := s.try(t.Context(), registry.Caller{OrgID: ours}, lines(fix{session, 4, 40})); !errors.Is(err, schema.Unavailable) {
		t.Errorf("err = %v, want schema.Unavailable", err)
	}
	if fmt.Sprint(s.faults.log) != "[find]" || len(s.reader.publishedCalls()) != 1 {
		t.Errorf("it went on with %v, and %d groups were announced", s.faults.log, len(s.reader.publishedCalls()))
	}
	s.faults.next(nil, nil)
	s.send(fix{session, 4, 40})
	if d := schematest.Diff(2, len(s.history(session))); d != "" {
		t.Error(d)
	}
}
