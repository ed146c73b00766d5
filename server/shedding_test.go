package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"lastseen/schema"
)

func TestOnlyAQueueThatStandsIsTooLong(t *testing.T) {
	t.Parallel()
	const target = 5 * time.Millisecond
	for _, tt := range []struct {
		name  string
		waits []time.Duration // of pulses, milliseconds
		want  int64           // of 1,000 connections too many
	}{
		{"no wait", []time.Duration{0, 100, 0, 100}, 0},
		{"a wait within the target", []time.Duration{5, 100, 5, 100, 5, 100}, 0},
		{"one window", []time.Duration{20, 100, 20}, 0},
		{"two windows", []time.Duration{20, 100, 20, 100}, 750},
		{"the shortest wait counts", []time.Duration{20, 100, 10, 100}, 500},
		{"over", []time.Duration{20, 100, 20, 100, 1, 100}, 0},
		{"over in between", []time.Duration{20, 100, 1, 100, 20, 100}, 0},
		{"one long pause", []time.Duration{1000, 1, 1, 100}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			queue := standingQueue{target: target}
			now := time.Unix(0, 0)
			var surplus int64
			for _, wait := range tt.waits {
				now = now.Add(max(wait*time.Millisecond, pulsePeriod))
				if queue.add(now, wait*time.Millisecond) {
					surplus = queue.surplus(1000)
				}
			}
			if surplus != tt.want {
				t.Errorf("%d of 1,000 connections are too many, want %d", surplus, tt.want)
			}
		})
	}
}

// keptOpen is one connection of a client.
type keptOpen struct {
	net.Conn
	*bufio.Reader
	request string
}

func (s *service) keepOpen(target, key, fields string) *keptOpen {
	s.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	return &keptOpen{c, bufio.NewReader(c), fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n", target, key, fields)}
}

func (c *keptOpen) poll(t *testing.T) *http.Response {
	t.Helper()
	if _, err := c.Write([]byte(c.request)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer
}

// refuse polls over many connections until a poll is refused, and returns its connection.
func (s *service) refuse(t *testing.T, target, key, fields string) *keptOpen {
	t.Helper()
	var open []*keptOpen
	for range 16 {
		open = append(open, s.keepOpen(target, key, fields))
	}
	var refused *keptOpen
	s.until(func() bool {
		for _, c := range open {
			answer := c.poll(t)
			if answer.StatusCode == 200 {
				continue
			}
			if answer.StatusCode != 503 || answer.Header.Get("Retry-After") != "1" || answer.Close {
				t.Fatalf("an overload is answered with %s, Retry-After %q and close %v", answer.Status, answer.Header.Get("Retry-After"), answer.Close)
			}
			refused = c
		}
		return refused != nil
	})
	return refused
}

func TestPollsAreRefusedWhileAllWaitTooLong(t *testing.T) {
	t.Parallel()
	// Every poll waits longer than a nanosecond, so this service is always overloaded.
	s := start(t, func(with *setup) { with.config.ShedDelay = 1 })
	session := s.session("org_a", "00:00:00:00:0f:31")
	s.ingest("org_a", point(session, 1))
	key, _ := s.key("org_a", schema.KindAPIKey)
	target := pathLastSeen + "?session_id=" + session
	refused := s.refuse(t, target, key, "")
	began := time.Now()
	if answer := refused.poll(t); answer.StatusCode != 503 || time.Since(began) < shedHold/2 {
		t.Errorf("who does not wait as told gets %s after %v, want 503 after %v or more", answer.Status, time.Since(began), shedHold/2)
	}
	s.refuse(t, target, key, "X-Forwarded-For: 192.0.2.1\r\n")
	stats := s.Stats()
	if stats.Refused[reasonOverload] < 3 || stats.PollDelay <= 0 {
		t.Errorf("%d refusals and a delay of %v are counted, want three and some", stats.Refused[reasonOverload], stats.PollDelay)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		s.get(path, "", 200)
	}
}
