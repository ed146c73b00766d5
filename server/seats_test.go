package server

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
	h.crowd, h.least, h.all = -1, 2, h.all[:64]
	h.began, h.waited = h.now, func() time.Duration { return h.wait }
	return h
}

// newFullHall has a limit of so many seats.
func newFullHall(seats int) *hall {
	h := newHall()
	h.least = seats
	h.pass(looksOfStrain, longWait)
	return h
}

func (h *hall) connect(n int) []*conn {
	connections := make([]*conn, n)
	for i := range connections {
		h.serials++
		connections[i] = &conn{serial: h.serials}
	}
	return connections
}

// poll lets connections of an organisation poll and returns how many may.
func (h *hall) poll(organisation string, connections ...*conn) (may int) {
	for _, c := range connections {
		if h.take(c, organisation, h.now) {
			may++
		}
	}
	return may
}

// pass lets tenths of a second pass, in each of which polls wait and the connections poll.
func (h *hall) pass(tenths int, wait time.Duration, polling ...*conn) {
	h.wait = wait
	for range tenths {
		h.poll("org_a", polling...)
		h.now = h.now.Add(lookInterval)
		h.look()
	}
}

const (
	longWait  = 2 * time.Millisecond
	fairWait  = 400 * time.Microsecond // neither too long nor so short that there can be more seats
	shortWait = 100 * time.Microsecond
)

func TestSeatsAreForWhoHasOne(t *testing.T) {
	t.Parallel()
	h := newFullHall(2)
	c := h.connect(3)
	for range 3 {
		for i := range c {
			if got, want := h.poll("org_a", c[i]), min(1, 2-i); got != max(want, 0) {
				t.Errorf("connection %d may poll: %d, want %d", i, got, want)
			}
		}
		h.now = h.now.Add(idleSeat - 1)
	}
	h.poll("org_a", c[1])
	h.now = h.now.Add(1) // the first has not polled for long enough
	if h.poll("org_a", c[2]) != 1 {
		t.Error("a seat that is not used is not given away")
	}
	h.now = h.now.Add(1)
	if h.poll("org_a", c[1]) != 1 {
		t.Error("who polled has no seat")
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
		t.Errorf("%d seats when as many wait as may, want no limit", limit)
	}
	h.pass(looksOfStrain, longWait, append(few, more...)...)
	if limit := h.limit.Load(); limit != 2 {
		t.Errorf("%d seats when one more waits, want 2", limit)
	}
	h.pass(2*looksOfRound, longWait, append(few, more...)...)
	if limit := h.limit.Load(); limit != 2 {
		t.Errorf("%d seats while one more polls, want 2", limit)
	}
	h.pass(2*looksOfRound, longWait, few...)
	if limit := h.limit.Load(); limit != 0 {
		t.Errorf("%d seats when the crowd has gone, want no limit", limit)
	}
}

func TestSeatsGrowAndEnd(t *testing.T) {
	t.Parallel()
	h := newHall()
	crowd := h.connect(50)
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
	if n := limits(2, longWait); n < 2 || n > 5 {
		t.Errorf("%d seats after two tenths of strain", n)
	}
	if n := limits(30, shortWait); n != 0 {
		t.Errorf("%d seats when waits are short for long, want no limit", n)
	}
	h.pass(looksOfStrain, longWait)
	crowd = nil
	if n := limits(2*looksOfRound, fairWait); n != 0 {
		t.Errorf("%d seats when nobody was refused for a while, want no limit", n)
	}
}

func TestOrganisationsShareSeatsEvenly(t *testing.T) {
	t.Parallel()
	h := newFullHall(12)
	a, b, c := h.connect(50), h.connect(50), h.connect(50)
	for range 5 {
		h.poll("org_a", a...)
		h.poll("org_b", b...)
		h.poll("org_c", c...)
	}
	if a, b, c := h.poll("org_a", a...), h.poll("org_b", b...), h.poll("org_c", c...); a != 4 || b != 4 || c != 4 {
		t.Errorf("of 12 seats the organisations have %d, %d and %d, want 4 each", a, b, c)
	}
	if may := h.poll("org_d", h.connect(2)...); may != 2 {
		t.Errorf("%d of 2 connections of a small organisation may poll, want both", may)
	}
}

// TestTheOldestOrganisationsComeFirst where there are more than seats.
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

// TestSeatsAreForOneEach lets many connections poll at the same time and counts who may.
func TestSeatsAreForOneEach(t *testing.T) {
	t.Parallel()
	h := newFullHall(8)
	now := h.now
	var group sync.WaitGroup
	connections := h.connect(100)
	for _, c := range connections {
		group.Go(func() {
			for range 100 {
				h.take(c, fmt.Sprint("org_", c.serial%3), now)
			}
		})
	}
	for i := range int64(100) {
		h.limit.Store(4 + i%5) // meanwhile
	}
	group.Wait()
	seated := 0
	for _, c := range connections {
		if h.keep(c, now) {
			seated++
		}
	}
	if limit := int(h.limit.Load()); seated > limit {
		t.Errorf("%d connections have %d seats", seated, limit)
	}
}

func TestSeatsAreWatchedUntilTheServerStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		h.wait = longWait
		ctx, stop := context.WithCancel(t.Context())
		var watcher sync.WaitGroup
		watcher.Go(func() { h.watch(ctx) })
		time.Sleep(looksOfStrain*lookInterval + lookInterval/2) // of the bubble's clock
		if limit := h.limit.Load(); limit != 2 {
			t.Errorf("%d seats after %d looks, want 2", limit, looksOfStrain)
		}
		stop()
		watcher.Wait()
	})
}

// full makes the connection that polls the only one with a seat, for good.
func (s *service) full(target, key string) *keptOpen {
	s.Helper()
	seats, holder := s.Server.seats, s.keepOpen()
	s.client.CloseIdleConnections() // older ones would take the seat
	seats.limit.Store(1)            // nobody looks, since PollWait is 0
	if status := holder.poll(target, key); status != 200 {
		s.Fatalf("the first poll is answered %d", status)
	}
	seats.all[0].usedAt.Store(math.MaxInt64)
	return holder
}

// TestPollsPastTheSeats: who has a seat is served, the others are told at once and then not read for a while.
func TestPollsPastTheSeats(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, key, target, _ := s.polled("00:00:00:00:5e:a7")
	first := s.full(target, key)
	second, began := s.keepOpen(), time.Now()
	if status := second.poll(target, key); status != 503 {
		t.Errorf("a poll past the seats is answered %d, want 503", status)
	}
	if status := second.poll(target, key); status != 503 || time.Since(began) < holdTime/2 {
		t.Errorf("who does not wait as told is answered %d after %v, want 503 after %v or more", status, time.Since(began), holdTime/2)
	}
	if p := s.get(target, key, 503).problem(t); p.Detail != problemSeats.detail {
		t.Errorf("the reason is %q", p.Detail)
	}
	s.get(strings.Replace(target, pathLastSeen, pathLastSeenPublic, 1), "", 503)
	if stats := s.Stats().Admissions[4]; stats.Name != "poll_seats" || stats.Capacity != 1 || stats.InUse != 1 || stats.Refused != 4 {
		t.Errorf("%+v", stats)
	}
	if direct, general := first.poll(target, key), first.ask("GET", target, key, ""); direct != 200 || general != 200 {
		t.Errorf("who has the seat is answered %d and %d, want 200", direct, general)
	}
}

func TestWhoWaitsForAChangeNeedsNoSeat(t *testing.T) {
	t.Parallel()
	s := start(t)
	session, key, target, tag := s.polled("00:00:00:00:5e:a8")
	s.full(target, key)
	poll := s.longPoll(target, key, tag)
	s.ingest("org_a", point(session, 2))
	s.answers(poll, 200, session)
	if r, err := s.try("GET", target, key, nil, header{"If-None-Match", tag}, header{"Prefer", "wait=20"}); err != nil || r.StatusCode != 503 {
		t.Errorf("a long poll that has nothing to wait for is answered %v, %v, want 503", r.Response, err)
	}
}

// TestPollsThatDoNotWaitForAnswersEnd: what a reader's buffer holds by then cannot be left unread.
func TestPollsThatDoNotWaitForAnswersEnd(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, key, target, _ := s.polled("00:00:00:00:5e:a9")
	s.full(target, key)
	client := s.keepOpen()
	poll := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", target, key)
	if _, err := io.WriteString(client.Conn, strings.Repeat(poll, 10)); err != nil {
		t.Fatal(err)
	}
	answers := 0
	for ; ; answers++ {
		answer, err := http.ReadResponse(client.Reader, nil)
		if err != nil {
			break
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 503 {
			t.Errorf("answer %d is %d, %v", answers+1, answer.StatusCode, err)
		}
	}
	if answers != 2 {
		t.Errorf("ten polls in one go are answered %d times, want 2 and then the end", answers)
	}
}
