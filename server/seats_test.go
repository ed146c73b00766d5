package server

import (
	"sync"
	"testing"
	"time"
)

// hall is seats whose clock and measured wait a test sets.
type hall struct {
	*seats
	now     time.Time
	wait    time.Duration
	serials uint64
}

// newHall has no limit yet; when there is one it is two seats, and 64 at most. Any number of connections is a crowd.
func newHall() *hall {
	h := &hall{seats: newSeats(time.Millisecond), now: time.Unix(1_800_000_000, 0)}
	h.crowd, h.least, h.seats.seats = -1, 2, h.seats.seats[:64]
	h.began, h.waited = h.now.Add(-time.Hour), func() time.Duration { return h.wait }
	return h
}

func (h *hall) connect() *conn {
	h.serials++
	return &conn{serial: h.serials}
}

func (h *hall) poll(c *conn, organisation string) bool { return h.take(c, organisation, h.now) }

// pass lets tenths of a second pass, in each of which polls wait and the connections poll.
func (h *hall) pass(tenths int, wait time.Duration, polling ...*conn) {
	h.wait = wait
	for range tenths {
		h.now = h.now.Add(lookInterval)
		for _, c := range polling {
			h.poll(c, "org_a")
		}
	}
}

const (
	longWait  = 2 * time.Millisecond
	fairWait  = 400 * time.Microsecond // neither too long nor so short that there can be more seats
	shortWait = 100 * time.Microsecond
)

func TestSeatsAreForWhoHasOne(t *testing.T) {
	t.Parallel()
	h := newHall()
	first, second, third := h.connect(), h.connect(), h.connect()
	h.pass(looksOfStrain, longWait, first)
	h.wait = fairWait
	for range 3 {
		for i, c := range []*conn{first, second, third} {
			if got, want := h.poll(c, "org_a"), i < 2; got != want {
				t.Errorf("connection %d may poll: %v, want %v", i, got, want)
			}
		}
		h.now = h.now.Add(leastIdle - 1)
	}
	h.poll(second, "org_a")
	h.now = h.now.Add(idleWaits*longWait - 1) // first has not polled for longer
	if !h.poll(third, "org_a") {
		t.Error("a seat that is not used is not given away")
	}
	if h.poll(first, "org_a") || !h.poll(second, "org_a") {
		t.Error("who did not poll has a seat, or who did has none")
	}
	third.impatient = true
	h.now = h.now.Add(time.Second)
	if !h.poll(third, "org_a") {
		t.Error("who has a seat lost it by what it sent before")
	}
	first.impatient = true
	if h.poll(first, "org_a") {
		t.Error("who did not wait after a refusal got a seat")
	}
}

func TestThereIsNoLimitWithoutStrain(t *testing.T) {
	t.Parallel()
	h := newHall()
	for range 10 {
		h.pass(looksOfStrain-1, longWait, h.connect())
		h.pass(lastLooks-looksOfStrain+1, shortWait, h.connect())
	}
	h.longestWait = 0
	h.pass(100, time.Hour, h.connect())
	for range 100 {
		if !h.poll(h.connect(), "org_a") {
			t.Fatal("refused")
		}
	}
}

func TestThereIsNoLimitForFew(t *testing.T) {
	t.Parallel()
	h := newHall()
	h.crowd = 3
	few := []*conn{h.connect(), h.connect(), h.connect()}
	h.pass(2*lastLooks, longWait, few...)
	if limit := h.limit.Load(); limit != 0 {
		t.Errorf("%d seats when as many wait as may, want no limit", limit)
	}
	h.pass(looksOfStrain+1, longWait, append(few, h.connect())...)
	if limit := h.limit.Load(); limit != 2 {
		t.Errorf("%d seats when one more waits, want 2", limit)
	}
}

func TestSeatsGrowAndEnd(t *testing.T) {
	t.Parallel()
	h := newHall()
	crowd := make([]*conn, 10)
	for i := range crowd {
		crowd[i] = h.connect()
	}
	limits := func(tenths int, wait time.Duration) int64 {
		h.pass(tenths, wait, crowd...)
		return h.limit.Load()
	}
	if n := limits(looksOfStrain+5, longWait); n != 2 {
		t.Errorf("%d seats under strain, want 2", n)
	}
	if n := limits(50, fairWait); n != 2 {
		t.Errorf("%d seats while polls wait as long as they may, want 2", n)
	}
	if n := limits(4, shortWait); n < 5 || n > 10 {
		t.Errorf("%d seats after four tenths with a short wait", n)
	}
	if n := limits(2, longWait); n != 2 && n != 3 {
		t.Errorf("%d seats after two tenths of strain", n)
	}
	if n := limits(30, shortWait); n != 0 {
		t.Errorf("%d seats when nobody was refused for seconds, want no limit", n)
	}
}

func TestAnOrganisationLeavesHalfOfTheSeatsToOthers(t *testing.T) {
	t.Parallel()
	h := newHall()
	h.least = 10
	many := make([]*conn, 10)
	for i := range many {
		many[i] = h.connect()
	}
	h.pass(looksOfStrain, longWait, many...)
	h.wait = fairWait
	others := 0
	for range 10 {
		if h.poll(h.connect(), "org_b") {
			others++
		}
	}
	if others != 5 {
		t.Errorf("%d of 10 seats went to another organisation, want 5", others)
	}
	kept := 0
	for _, c := range many {
		if h.poll(c, "org_a") {
			kept++
		}
	}
	if kept != 5 {
		t.Errorf("%d of 10 seats stay, want 5", kept)
	}
}

// TestSeatsAreForOneEach lets many connections poll at the same time and counts who may.
func TestSeatsAreForOneEach(t *testing.T) {
	t.Parallel()
	h := newHall()
	h.least = 8
	h.pass(looksOfStrain, longWait, h.connect())
	h.now = h.now.Add(time.Second / 20) // no look is due
	var mu sync.Mutex
	var group sync.WaitGroup
	seated := 0
	for range 100 {
		c := h.connect()
		group.Go(func() {
			for range 100 {
				if !h.poll(c, "org_a") {
					return
				}
			}
			mu.Lock()
			seated++
			mu.Unlock()
		})
	}
	group.Wait()
	if seated > 8 {
		t.Errorf("%d connections polled at the same time with 8 seats", seated)
	}
}

// TestPollsPastTheSeats: who has a seat is served, the others are told at once and then not read for a while.
func TestPollsPastTheSeats(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.PollWait = time.Millisecond })
	seats := s.Server.seats
	seats.waited, seats.crowd, seats.least = func() time.Duration { return time.Hour }, 0, 1
	_, key, target, _ := s.polled("00:00:00:00:5e:a7")
	first, second := s.keepOpen(), s.keepOpen()
	for seats.limit.Load() == 0 {
		if status := first.poll(target, key); status != 200 {
			t.Fatalf("the first poll is answered %d", status)
		}
	}
	first.poll(target, key)
	if status := second.poll(target, key); status != 503 {
		t.Errorf("a poll past the seats is answered %d, want 503", status)
	}
	if direct, general := first.poll(target, key), first.ask("GET", target, key, ""); direct != 200 || general != 200 {
		t.Errorf("who has the seat is answered %d and %d, want 200", direct, general)
	}
	if stats := s.Stats().Admissions[4]; stats.Name != "poll_seats" || stats.Capacity != 1 || stats.InUse != 1 || stats.Refused == 0 {
		t.Errorf("%+v", stats)
	}
	began := time.Now()
	if status := second.poll(target, key); status != 503 || time.Since(began) < holdTime/4 {
		t.Errorf("who does not wait as told is answered %d after %v, want 503 after %v or more", status, time.Since(began), holdTime/2)
	}
	if p := s.get(target, key, 503).problem(t); p.Detail != problemSeats.detail {
		t.Errorf("the reason is %q", p.Detail)
	}
}
