package ingest

import (
	"testing"
	"time"
)

// loaded is a machine on which everything takes some times as long as usual.
type loaded float64

func (m loaded) insert() time.Duration { return scaled(monthCost, float64(m)) }

func (m loaded) find(n int) time.Duration {
	return scaled(leastFind+time.Duration(n)*20*time.Microsecond, float64(m))
}

// TestSlicesOfALoadedMachineStayLong: a machine that is slow makes every step long. Were its look-ups held to be dear
// for that, slices would have fewer and fewer of them, each with an insert of its own.
func TestSlicesOfALoadedMachineStayLong(t *testing.T) {
	t.Parallel()
	l := lanes{limits: defaultLimits, month: monthCost}
	find := findCost
	lookUps := func() int { return int(scaled(l.limits.slice, l.slowness()) / find) }
	run := func(m loaded, steps int) (fewest int) {
		fewest = lookUps()
		for range steps {
			n := lookUps()
			l.learnMonth(m.insert(), 1)
			find = learnFind(find, m.find(n), n, l.slowness())
			fewest = min(fewest, lookUps())
		}
		return fewest
	}
	for _, slow := range []loaded{1, 2, 4, 8, 16, 64} {
		if got := run(slow, 50); got < 16 {
			t.Errorf("a slice had %d look-ups on a machine %v times as slow as usual, want at least 16", got, slow)
		}
		if got := lookUps(); slow <= slowestMonth && got < 200 {
			t.Errorf("a slice has %d look-ups on a machine %v times as slow as usual, want at least 200, as on any other", got, slow)
		}
		run(1, 20)
		if got := lookUps(); got < 100 {
			t.Errorf("a slice has %d look-ups when a machine is as fast as usual again, want at least 100", got)
		}
	}
}

// TestASliceOfMarksCountsItsInsert: who writes a point waits for all of the slice, not only for the look-ups in it.
func TestASliceOfMarksCountsItsInsert(t *testing.T) {
	t.Parallel()
	const each = 2 * time.Microsecond // to look a point up, and to insert it
	find := findCost
	for range 50 {
		n := time.Duration(defaultLimits.slice / find)
		find = learnMark(find, &took{find: leastFind + n*each, insert: monthCost + n*each}, int(n), 1)
	}
	if got, most := defaultLimits.slice/find*2*each, defaultLimits.slice*11/10; got > most {
		t.Errorf("the points of a slice of marks take %v, want at most %v", got, most)
	}
}

// TestADearLookUpIsForgotten: steps that say nothing of look-ups do not keep one that was dear once.
func TestADearLookUpIsForgotten(t *testing.T) {
	t.Parallel()
	find := mostFind
	for range 100 {
		find = learnFind(find, time.Second, 1, 1)
	}
	if find > findCost+10*time.Microsecond {
		t.Errorf("a look-up is taken to take %v, want about %v", find, findCost)
	}
}

// TestASliceReviewsSomeSessionsWhateverTheyTook: readings that took long, for what the disk or others did, do not leave slices
// with one session each, of which most would be the insert.
func TestASliceReviewsSomeSessionsWhateverTheyTook(t *testing.T) {
	t.Parallel()
	l := lanes{limits: defaultLimits, month: monthCost}
	review := reviewCost
	for range 50 {
		l.learnMonth(loaded(8).insert(), 1)
		review = learnReview(review, 300*time.Millisecond, 4, l.slowness())
	}
	if got := (scaled(l.limits.slice, l.slowness()) - leastReview) / review; got < 8 {
		t.Errorf("a slice has %d sessions to review on a loaded machine, want at least 8", got)
	}
	for range 20 {
		review = learnReview(review, leastReview+4*100*time.Microsecond, 4, 1)
	}
	if review > reviewCost {
		t.Errorf("a session is taken to take %v where it takes 0.1 ms again", review)
	}
}
