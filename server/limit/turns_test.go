package limit_test

import (
	"errors"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"lastseen/server/limit"
)

// TestAnOwnersWorkComesInTurnsWhileOthersHaveRequests: as much as may be begins in a second alone, and a share of the
// processors' time beside others, whose own work is not held up.
func TestAnOwnersWorkComesInTurnsWhileOthersHaveRequests(t *testing.T) {
	t.Parallel()
	const took = 500 * time.Microsecond
	processors := time.Duration(runtime.GOMAXPROCS(0))
	for _, others := range []uint64{0, 200} { // a second
		var begun atomic.Uint64
		turns := limit.NewTurns(&begun, 6)
		now := time.Unix(1_800_000_000, 0)
		due := make([]time.Time, 150) // of connections, each of which asks when it was answered
		done, worst := 0, time.Duration(0)
		for tick := range 10_000 {
			now = now.Add(time.Millisecond)
			if others > 0 && tick%int(1000/others) == 0 {
				begun.Add(1)
				turns.Ask("another", now)
				wait, err := turns.Take("another", now, time.Second)
				if worst = max(worst, wait); err != nil {
					t.Error(err)
				}
			}
			if asked, _ := askAgain(t, turns, &begun, due, now, took, time.Second); tick >= 5000 {
				done += asked
			}
		}
		share := int(5 * time.Second * processors / 6 / (took + 150*time.Microsecond))
		if others == 0 && done < 5*150*1000/2 {
			t.Errorf("alone %d pieces were done in 5 s, want all that came", done)
		}
		if others > 0 && (done > share*11/10 || done < share*8/10) {
			t.Errorf("beside others %d pieces were done in 5 s, want about %d", done, share)
		}
		if worst > 0 {
			t.Errorf("another, who asks now and then, waited %v", worst)
		}
	}
}

// askAgain has those of an owner's connections ask for a piece of work that have been answered by now, says when they will be next, and
// returns how many have asked and how many of them need not wait.
func askAgain(t *testing.T, turns *limit.Turns, begun *atomic.Uint64, due []time.Time, now time.Time, took, patience time.Duration) (asked, atOnce int) {
	t.Helper()
	for i := range due {
		if due[i].After(now) {
			continue
		}
		begun.Add(1)
		turns.Ask("many", now)
		wait, err := turns.Take("many", now, patience)
		if err != nil {
			t.Fatal(err)
		}
		turns.Took("many", took)
		due[i] = now.Add(wait + took)
		asked++
		if wait == 0 {
			atOnce++
		}
	}
	return asked, atOnce
}

// TestATurnThatIsTooFarAwayIsNone: whoever is refused does not push those behind it further away.
func TestATurnThatIsTooFarAwayIsNone(t *testing.T) {
	t.Parallel()
	var begun atomic.Uint64
	turns := limit.NewTurns(&begun, 6)
	now := time.Unix(1_800_000_000, 0)
	begun.Add(1000)
	refused := 0
	for range 100_000 {
		wait, err := turns.Take("many", now, 10*time.Millisecond)
		if wait > 10*time.Millisecond {
			t.Fatalf("a turn is %v away", wait)
		}
		if errors.Is(err, limit.ErrShare) {
			refused++
		}
	}
	if _, err := turns.Take("many", now.Add(50*time.Millisecond), 10*time.Millisecond); refused < 90_000 || err != nil {
		t.Errorf("%d were refused, and a moment later: %v", refused, err)
	}
}

// TestRequestsThatWaitedAreNobodyElses: a thousand that came long ago and take their turns now do not look like an owner that is
// alone.
func TestRequestsThatWaitedAreNobodyElses(t *testing.T) {
	t.Parallel()
	var begun atomic.Uint64
	turns := limit.NewTurns(&begun, 6)
	now := time.Unix(1_800_000_000, 0)
	for range 1000 {
		begun.Add(1)
		turns.Ask("many", now)
	}
	waited, each := 0, 5*runtime.GOMAXPROCS(0)
	for tick := range 1000 {
		now = now.Add(time.Millisecond)
		if tick%5 == 0 { // another
			begun.Add(1)
		}
		if tick < 500 { // they wait
			continue
		}
		for range each {
			if wait, err := turns.Take("many", now, time.Hour); err != nil || wait > 0 {
				waited++
			}
		}
	}
	if all := 500 * each; waited < all*4/5 {
		t.Errorf("%d of %d turns waited, want nearly all", waited, all)
	}
}

// TestTurnsBeginTogether: between the ticks at which an owner's turns begin the processors are free for others.
func TestTurnsBeginTogether(t *testing.T) {
	t.Parallel()
	var begun atomic.Uint64
	turns := limit.NewTurns(&begun, 6)
	now := time.Unix(1_800_000_000, 0)
	begun.Add(1000)
	moments := map[time.Time]int{}
	const all = 10_000
	for range all {
		wait, err := turns.Take("many", now, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if wait > 0 {
			moments[now.Add(wait)]++
		}
	}
	var last time.Time
	for at := range moments {
		if at.After(last) {
			last = at
		}
	}
	if most := int(last.Sub(now)/(10*time.Millisecond)) + 1; len(moments) > most {
		t.Errorf("%d turns begin at %d moments in %v, want %d at most", all, len(moments), last.Sub(now), most)
	}
}

// TestWorkThatWaitsForNoTurnCountsAllTheSame: an owner that does one piece of work without a turn after each piece with one has
// half as many turns, and however much it does without, its next turn is near.
func TestWorkThatWaitsForNoTurnCountsAllTheSame(t *testing.T) {
	t.Parallel()
	const took, most = 20 * time.Millisecond, 500 * time.Millisecond
	turnsIn := func(beside bool) (done int) {
		var begun atomic.Uint64
		turns := limit.NewTurns(&begun, 6)
		now := time.Unix(1_800_000_000, 0)
		free := now
		for range 10_000 { // a millisecond each
			now = now.Add(time.Millisecond)
			begun.Add(1) // another's
			if free.After(now) {
				continue
			}
			begun.Add(1)
			turns.Ask("many", now)
			wait, err := turns.Take("many", now, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			turns.Took("many", took)
			free = now.Add(wait + took)
			done++
			if beside {
				begun.Add(1)
				turns.Spent("many", free, took, most)
				free = free.Add(took)
			}
		}
		return done
	}
	if alone, both := turnsIn(false), turnsIn(true); both < alone*4/10 || both > alone*6/10 {
		t.Errorf("%d turns in 10 s with as much work beside them, and %d without, want half", both, alone)
	}
	var begun atomic.Uint64
	begun.Add(1000)
	turns := limit.NewTurns(&begun, 6)
	now := time.Unix(1_800_000_000, 0)
	for range 1000 {
		turns.Spent("many", now, took, most)
	}
	begun.Add(100_000)
	now = now.Add(100 * time.Millisecond)
	if wait, err := turns.Take("many", now, time.Hour); err != nil || wait > most || wait < most/2 {
		t.Errorf("after a thousand pieces at once the next turn is %v away (%v), want up to %v", wait, err, most)
	}
}

// TestAFewAtATimeDoNotWait: a browser that opens a page asks for several things together, and asks nobody to be patient.
func TestAFewAtATimeDoNotWait(t *testing.T) {
	t.Parallel()
	var begun atomic.Uint64
	turns := limit.NewTurns(&begun, 6)
	now := time.Unix(1_800_000_000, 0)
	for page := range 50 {
		now = now.Add(100 * time.Millisecond)
		begun.Add(1000) // others
		for request := range 5 {
			begun.Add(1)
			turns.Ask("one", now)
			if wait, err := turns.Take("one", now, time.Second); err != nil || wait > 0 {
				t.Fatalf("request %d of page %d waits %v (%v)", request, page, wait, err)
			}
			turns.Took("one", 500*time.Microsecond)
		}
	}
}

// TestTurnsForgetWhoAsksNoMore: those without a credential are owners by their addresses, of which there are as many as somebody likes.
func TestTurnsForgetWhoAsksNoMore(t *testing.T) {
	var begun atomic.Uint64
	turns := limit.NewTurns(&begun, 6)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, now := heap(), time.Unix(1_800_000_000, 0)
	for i := range 300_000 {
		now = now.Add(time.Millisecond)
		turns.Ask(strconv.Itoa(i), now)
	}
	if grown := int64(heap()) - int64(before); grown > 4<<20 {
		t.Errorf("300,000 owners that asked once, each a moment after the other, take %d KiB", grown>>10)
	}
	runtime.KeepAlive(turns)
}

// TestWhoHoldsOthersUpIsNotAloneForIt: those whose requests wait send no others meanwhile, which is no reason to let more work begin
// that holds them up.
func TestWhoHoldsOthersUpIsNotAloneForIt(t *testing.T) {
	t.Parallel()
	const took = 500 * time.Microsecond
	var begun atomic.Uint64
	turns := limit.NewTurns(&begun, 6)
	now := time.Unix(1_800_000_000, 0)
	due := make([]time.Time, 1000) // of connections, each of which asks when it was answered
	var perSecond [8]int
	for tick := range 1000 * len(perSecond) {
		now = now.Add(time.Millisecond)
		second, inSecond := tick/1000, tick%1000
		if second < 4 && inSecond < 400 && inSecond%5 == 0 || second == 4 && inSecond == 0 { // for 0.6 s of each second they are held up
			begun.Add(1)
		}
		_, atOnce := askAgain(t, turns, &begun, due, now, took, time.Minute)
		perSecond[second] += atOnce
	}
	for second, atOnce := range perSecond {
		if second > 0 && second < 4 && atOnce > 1000 {
			t.Errorf("in second %d, %d pieces of work began at once beside others, want few", second, atOnce)
		}
		if second == 7 && atOnce < 100_000 {
			t.Errorf("three seconds after the last of the others %d pieces of work began at once in a second, want all", atOnce)
		}
	}
}
