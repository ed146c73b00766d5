package ingest

import (
	"testing"
	"time"
)

func TestGroupsHaveLaterTimesThanThoseBeforeThem(t *testing.T) {
	t.Parallel()
	var r watermark
	r.begin(1000, false, time.UnixMilli(500))
	before := int64(1000)
	for _, now := range []int64{500, 500, 2000, 1999, 2000, 3000} { // the clock is set back twice
		stamp := r.next(now)
		if stamp <= before || stamp < now {
			t.Errorf("at %d the group has the time %d, after %d", now, stamp, before)
		}
		before = stamp
	}
}

func TestReceiptsAreWithheldUntilTheyAreSettled(t *testing.T) {
	t.Parallel()
	var r watermark
	start := time.UnixMilli(1_000_000)
	r.begin(start.UnixMilli()-1, false, start)
	want := func(what string, at time.Time, through int64) {
		t.Helper()
		if got := r.through(at); got != through {
			t.Errorf("%s: settled through %d, want %d", what, got, through)
		}
	}
	first := r.next(start.UnixMilli())
	want("while the first insert runs", start, first-1)
	r.done(first, start)
	want("after it", start, first)
	lost := r.next(start.UnixMilli())
	r.fail(lost)
	later := r.next(start.UnixMilli())
	long := start.Add(time.Hour)
	want("while no insert succeeds, for the server may be stopped and go on", long, first)
	r.done(later, long)
	want("after an insert that failed and one that went well", long, lost-1)
	want("when the first cannot appear any more", long.Add(settleTime), later)
}

func TestWhatAnotherProcessLeftBehindIsWithheld(t *testing.T) {
	t.Parallel()
	var r watermark
	start := time.UnixMilli(1_000_000)
	r.begin(start.UnixMilli(), true, start)
	if got, most := r.through(start), start.Add(-settleTime).UnixMilli(); got >= most {
		t.Errorf("settled through %d, want less than %d", got, most)
	}
	if got := r.through(start.Add(settleTime)); got != start.UnixMilli() {
		t.Errorf("a minute later settled through %d, want %d", got, start.UnixMilli())
	}
}

// TestNoFeedIsPassedByAClockThatIsSetBack: who has read the feed to its end while nothing arrived waits
// there, and the next point must come after that place whatever the clock says by then.
func TestNoFeedIsPassedByAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	s := newService(t, WriterOptions{})
	_, session := s.session(ours, "van-1")
	s.send(fix{session, 1, 10})
	s.clock.Advance(2 * time.Hour)
	s.send(fix{session, 1, 10}) // again, which stores nothing
	s.restart()
	reached := s.writer.ReceivedThrough()
	s.clock.Advance(-90 * time.Minute)
	s.restart()
	if through := s.writer.ReceivedThrough(); through != reached {
		t.Errorf("after a restart the feed is settled through %d, before it through %d", through, reached)
	}
	s.send(fix{session, 2, 20})
	points := s.history(session)
	if received := points[1].ReceivedAt; received <= reached || received > s.writer.ReceivedThrough() {
		t.Errorf("the point was received at %d, want it after %d and not after %d", received, reached, s.writer.ReceivedThrough())
	}
}
