package limit

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hall is slots whose clock and measured wait a test sets.
type hall struct {
	*Slots
	now     time.Time
	wait    time.Duration
	serials uint64
}

// newHall has no limit yet; when there is one it is two slots, and 64 at most. Any number of connections is a crowd.
func newHall() *hall {
	h := &hall{Slots: NewSlots(time.Millisecond), now: time.Unix(1_800_000_000, 0)}
	h.crowd, h.least, h.all = -1, 2, h.all[:64]
	h.began, h.waited = h.now, func() time.Duration { return h.wait }
	return h
}

// newFullHall has a limit of so many slots.
func newFullHall(slots int) *hall {
	h := newHall()
	h.least = slots
	h.pass(looksOfStrain, longWait)
	return h
}

func (h *hall) connect(n int) []*Holder {
	connections := make([]*Holder, n)
	for i := range connections {
		h.serials++
		connections[i] = &Holder{serial: h.serials}
	}
	return connections
}

// poll lets connections of an organisation poll and returns how many may.
func (h *hall) poll(organisation string, connections ...*Holder) (may int) {
	for _, c := range connections {
		if h.Enter(c, organisation, h.now) == nil {
			may++
		}
	}
	return may
}

// pass lets tenths of a second pass, in each of which polls wait and the connections poll.
func (h *hall) pass(tenths int, wait time.Duration, polling ...*Holder) {
	h.wait = wait
	for range tenths {
		h.poll("org_a", polling...)
		h.now = h.now.Add(lookInterval)
		h.look()
	}
}

const (
	longWait  = 2 * time.Millisecond
	fairWait  = 400 * time.Microsecond // neither too long nor so short that there can be more slots
	shortWait = 100 * time.Microsecond
)

func TestSlotsAreForWhoHasOne(t *testing.T) {
	t.Parallel()
	h := newFullHall(2)
	c := h.connect(3)
	for range 3 {
		for i := range c {
			if got, want := h.poll("org_a", c[i]), min(1, 2-i); got != max(want, 0) {
				t.Errorf("connection %d may poll: %d, want %d", i, got, want)
			}
		}
		h.now = h.now.Add(idleSlot - 1)
	}
	h.poll("org_a", c[1])
	h.now = h.now.Add(1) // the first has not polled for long enough
	if h.poll("org_a", c[2]) != 1 {
		t.Error("a slot that is not used is not given away")
	}
	h.now = h.now.Add(1)
	if h.poll("org_a", c[1]) != 1 {
		t.Error("who polled has no slot")
	}
}

func TestThoseWhoWereThereBeforeAreServedOn(t *testing.T) {
	t.Parallel()
	h := newHall()
	h.least = 10
	before, crowd := h.connect(7), h.connect(100)
	h.pass(looksOfStrain, longWait, before...)
	if may := h.poll("org_a", crowd...); may != 10 {
		t.Errorf("%d of the crowd may poll, want 10", may)
	}
	for range 5 {
		if may := h.poll("org_a", before...); may != 7 {
			t.Errorf("%d of 7 who were there before may poll", may)
		}
		if may := h.poll("org_a", crowd...); may != 3 {
			t.Errorf("%d of the crowd may poll, want 3", may)
		}
		h.now = h.now.Add(time.Millisecond)
	}
}

func TestThereIsNoLimitWithoutStrain(t *testing.T) {
	t.Parallel()
	h := newHall()
	c := h.connect(1000)
	for range 10 {
		h.pass(looksOfStrain-1, longWait, c...)
		h.pass(lastLooks-looksOfStrain+1, shortWait, c...)
	}
	if may := h.poll("org_a", c...); may != 1000 {
		t.Errorf("%d of 1000 may poll", may)
	}
}

func TestBurstsAreNoOverload(t *testing.T) {
	t.Parallel()
	for tenths := 2; tenths <= 10; tenths++ { // from one to the next
		h := newHall()
		h.crowd = 100
		c := h.connect(1000)
		for range 20 {
			if may := h.poll("org_a", c...); may != 1000 {
				t.Fatalf("%d of 1000 may poll every %d tenths of a second", may, tenths)
			}
			h.pass(1, longWait)
			h.pass(tenths-1, 0)
		}
	}
}

func TestThereIsNoLimitForFew(t *testing.T) {
	t.Parallel()
	h := newHall()
	h.crowd = 30
	few, more := h.connect(30), h.connect(1)
	h.pass(2*lastLooks, longWait, few...)
	if limit := h.limit.Load(); limit != 0 {
		t.Errorf("%d slots when as many wait as may, want no limit", limit)
	}
	h.pass(looksOfStrain, longWait, append(few, more...)...)
	if limit := h.limit.Load(); limit != 2 {
		t.Errorf("%d slots when one more waits, want 2", limit)
	}
	h.pass(2*looksOfRound, longWait, append(few, more...)...)
	if limit := h.limit.Load(); limit != 2 {
		t.Errorf("%d slots while one more polls, want 2", limit)
	}
	h.pass(2*looksOfRound, longWait, few...)
	if limit := h.limit.Load(); limit != 0 {
		t.Errorf("%d slots when the crowd has gone, want no limit", limit)
	}
}

func TestSlotsGrowAndEnd(t *testing.T) {
	t.Parallel()
	h := newHall()
	crowd := h.connect(50)
	limits := func(tenths int, wait time.Duration) int64 {
		h.pass(tenths, wait, crowd...)
		return h.limit.Load()
	}
	if n := limits(looksOfStrain+5, longWait); n != 2 {
		t.Errorf("%d slots under strain, want 2", n)
	}
	if n := limits(50, fairWait); n != 2 {
		t.Errorf("%d slots while polls wait as long as they may, want 2", n)
	}
	if n := limits(4, shortWait); n < 5 || n > 10 {
		t.Errorf("%d slots after four tenths with a short wait", n)
	}
	if n := limits(2, longWait); n < 2 || n > 5 {
		t.Errorf("%d slots after two tenths of strain", n)
	}
	if n := limits(30, shortWait); n != 0 {
		t.Errorf("%d slots when waits are short for long, want no limit", n)
	}
	h.pass(looksOfStrain, longWait)
	crowd = nil
	if n := limits(2*looksOfRound, fairWait); n != 0 {
		t.Errorf("%d slots when nobody was refused for a while, want no limit", n)
	}
}

func TestOrganisationsShareSlotsEvenly(t *testing.T) {
	t.Parallel()
	h := newFullHall(12)
	a, b, c := h.connect(50), h.connect(50), h.connect(50)
	for range 5 {
		h.poll("org_a", a...)
		h.poll("org_b", b...)
		h.poll("org_c", c...)
	}
	if a, b, c := h.poll("org_a", a...), h.poll("org_b", b...), h.poll("org_c", c...); a != 4 || b != 4 || c != 4 {
		t.Errorf("of 12 slots the organisations have %d, %d and %d, want 4 each", a, b, c)
	}
	if may := h.poll("org_d", h.connect(2)...); may != 2 {
		t.Errorf("%d of 2 connections of a small organisation may poll, want both", may)
	}
}

// TestTheOldestOrganisationsComeFirst where there are more than slots.
func TestTheOldestOrganisationsComeFirst(t *testing.T) {
	t.Parallel()
	h := newFullHall(8)
	c := h.connect(20)
	for range 3 {
		for i := range c {
			young := len(c) - 1 - i
			h.poll(fmt.Sprint("org_", young), c[young])
		}
	}
	for i := range c {
		if may := h.poll(fmt.Sprint("org_", i), c[i]); may == 1 != (i < 8) {
			t.Errorf("connection %d of 20 may poll: %d", i, may)
		}
	}
}

// TestSlotsAreForOneEach lets many connections poll at the same time and counts who may.
func TestSlotsAreForOneEach(t *testing.T) {
	t.Parallel()
	h := newFullHall(8)
	now := h.now
	var group sync.WaitGroup
	connections := h.connect(100)
	for _, c := range connections {
		group.Go(func() {
			for range 100 {
				h.Enter(c, fmt.Sprint("org_", c.serial%3), now)
			}
		})
	}
	for i := range int64(100) {
		h.limit.Store(4 + i%5) // meanwhile
	}
	group.Wait()
	seated := 0
	for _, c := range connections {
		if h.Keep(c, c.organisation, now) {
			seated++
		}
	}
	if limit := int(h.limit.Load()); seated > limit {
		t.Errorf("%d connections have %d slots", seated, limit)
	}
}

// TestOrganisationsOnOneConnectionHaveSlotsOfTheirOwn, as behind a proxy: none polls in the place of another, and each has its
// share whatever came over the same connections before.
func TestOrganisationsOnOneConnectionHaveSlotsOfTheirOwn(t *testing.T) {
	t.Parallel()
	h := newFullHall(4)
	proxy := h.connect(6)
	if got := h.poll("org_a", proxy...); got != 4 {
		t.Fatalf("%d connections may poll for the first organisation, want all 4 slots", got)
	}
	if got := h.poll("org_b", proxy...); got != 2 {
		t.Errorf("over the same connections another organisation may poll %d times, want 2, half of the slots", got)
	}
	if got := h.poll("org_a", proxy...); got != 2 {
		t.Errorf("the first organisation may poll %d times then, want 2", got)
	}
	for range 3 { // in turn over each connection: who has a slot keeps it
		for _, c := range proxy {
			h.poll("org_a", c)
			h.poll("org_b", c)
		}
	}
	held := map[string]int{}
	for i := range h.limit.Load() {
		held[h.all[i].organisation]++
	}
	if held["org_a"] != 2 || held["org_b"] != 2 {
		t.Errorf("the slots are %v, want 2 each", held)
	}
}

func TestSlotsAreWatchedUntilTheServerStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		h.wait = longWait
		ctx, stop := context.WithCancel(t.Context())
		var watcher sync.WaitGroup
		watcher.Go(func() { h.Watch(ctx) })
		time.Sleep(looksOfStrain*lookInterval + lookInterval/2) // of the bubble's clock
		if limit := h.limit.Load(); limit != 2 {
			t.Errorf("%d slots after %d looks, want 2", limit, looksOfStrain)
		}
		stop()
		watcher.Wait()
	})
}
