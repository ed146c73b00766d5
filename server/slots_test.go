package server

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lastseen/server/limit"
	"lastseen/server/problem"
	"lastseen/server/transport"
)

// full makes the connection that polls the only one with a slot, for good.
func (s *service) full(target, key string) *keptOpen {
	s.Helper()
	holder := s.keepOpen()
	s.client.CloseIdleConnections() // older ones would take the slot
	s.Server.slots.Fix(1)
	if status := holder.poll(target, key); status != 200 {
		s.Fatalf("the first poll is answered %d", status)
	}
	return holder
}

// TestPollsPastTheSlots: who has a slot is served, the others are told at once and then not read for a while.
func TestPollsPastTheSlots(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, key, target, _ := s.polled("00:00:00:00:5e:a7")
	first := s.full(target, key)
	second, began := s.keepOpen(), time.Now()
	if status := second.poll(target, key); status != 503 {
		t.Errorf("a poll past the slots is answered %d, want 503", status)
	}
	if status := second.poll(target, key); status != 503 || time.Since(began) < transport.HoldTime/2 {
		t.Errorf("who does not wait as told is answered %d after %v, want 503 after %v or more", status, time.Since(began), transport.HoldTime/2)
	}
	if p := s.get(target, key, 503).problem(t); p.Detail != problem.Slots.Detail {
		t.Errorf("the reason is %q", p.Detail)
	}
	s.get(strings.Replace(target, pathLastSeen, pathLastSeenPublic, 1), "", 503)
	admissions := s.Stats().Admissions
	at := slices.IndexFunc(admissions, func(stats limit.Stats) bool { return stats.Name == "poll_slots" })
	if stats := admissions[at]; stats.Capacity != 1 || stats.InUse != 1 || stats.Refused != 4 {
		t.Errorf("%+v", stats)
	}
	if direct, general := first.poll(target, key), first.ask("GET", target, key, ""); direct != 200 || general != 200 {
		t.Errorf("who has the slot is answered %d and %d, want 200", direct, general)
	}
}

func TestWhoWaitsForAChangeNeedsNoSlot(t *testing.T) {
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
