package ingest

import (
	"testing"
	"time"
)

func TestGroupsHaveLaterTimesThanThoseBeforeThem(t *testing.T) {
	t.Parallel()
	var r receipts
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
	var r receipts
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
	r.done(first)
	want("after it", start, first)
	lost := r.next(start.UnixMilli())
	r.fail(lost, start.Add(settleTime))
	later := r.next(start.UnixMilli())
	r.done(later)
	want("after an insert that failed and one that went well", start, lost-1)
	want("when the first cannot appear any more", start.Add(settleTime), later)
}

func TestWhatAnotherProcessLeftBehindIsWithheld(t *testing.T) {
	t.Parallel()
	var r receipts
	start := time.UnixMilli(1_000_000)
	r.begin(start.UnixMilli(), true, start)
	if got, most := r.through(start), start.Add(-settleTime).UnixMilli(); got >= most {
		t.Errorf("settled through %d, want less than %d", got, most)
	}
	if got := r.through(start.Add(settleTime)); got != start.UnixMilli() {
		t.Errorf("a minute later settled through %d, want %d", got, start.UnixMilli())
	}
}
