package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/server/stream"
)

// TestPublicFilesLeavePlacesToOtherFormats has somebody without a credential begin files, which nothing can suspend, and
// not read them.
func TestPublicFilesLeavePlacesToOtherFormats(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.Histories, with.config.QueueWait = 8, 50*time.Millisecond })
	target := strings.Replace(s.long(400_000), "data_points/", "data_points_public/", 1)
	session, _, _ := strings.Cut(target[strings.Index(target, "=")+1:], "&")
	s.post(pathUpdateSession+"?session_id="+session, s.token("org_a", keys.RoleOperator), `{"public":true}`, http.StatusOK)
	begin := func() (status string) {
		t.Helper()
		c := dial(t, s.address)
		fmt.Fprintf(c, "GET %s&format=arrow HTTP/1.1\r\nHost: x\r\n\r\n", target)
		head := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(c, head); err != nil {
			t.Fatal(err)
		}
		return string(head)
	}
	for i, want := range []string{"HTTP/1.1 200", "HTTP/1.1 429", "HTTP/1.1 429"} {
		if got := begin(); got != want {
			t.Errorf("public file %d is answered %s, want %s", i+1, got, want)
		}
	}
	for range 3 {
		s.get(target+"&limit=10", "", http.StatusOK)
	}
}

// TestAFileThatIsReadTooSlowlyIsCut: a client that accepts just enough not to count as gone would keep its place for as long
// as a history may take.
func TestAFileThatIsReadTooSlowlyIsCut(t *testing.T) {
	t.Parallel()
	from := &endless{work: context.Background(), ended: make(chan error, 1), ends: time.Now().Add(time.Minute)}
	s := start(t, func(with *setup) {
		with.config.WriteTimeout = 3 * time.Second
		with.handle = func(c *call) error {
			c.leastRate = func() int64 { return 1 << 30 }
			return c.stream(from, stream.Identity)
		}
	})
	c := dial(t, s.address)
	if _, err := io.WriteString(c, anyRequest); err != nil {
		t.Fatal(err)
	}
	reading := make(chan int64)
	go func() {
		var read int64
		for piece := make([]byte, 64<<10); ; time.Sleep(20 * time.Millisecond) {
			n, err := c.Read(piece)
			if read += int64(n); err != nil {
				reading <- read
				return
			}
		}
	}()
	<-from.ended
	if left := time.Until(from.ends); left < 30*time.Second {
		t.Errorf("the answer was cut %s before its time, want soon", left)
	}
	if read := <-reading; read < 1<<20 {
		t.Errorf("the client was cut after %d bytes, though it read", read)
	}
}

// TestAPublicFileIsReadFasterWhileOthersWantItsPlace: who accepts just enough to keep it must not keep it from everybody.
func TestAPublicFileIsReadFasterWhileOthersWantItsPlace(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.Histories, with.config.WriteTimeout = 8, 2*time.Second })
	target := strings.Replace(s.long(400_000), "data_points/", "data_points_public/", 1)
	session, _, _ := strings.Cut(target[strings.Index(target, "=")+1:], "&")
	s.post(pathUpdateSession+"?session_id="+session, s.token("org_a", keys.RoleOperator), `{"public":true}`, http.StatusOK)
	slow := dial(t, s.address)
	if err := slow.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil { // what lies in buffers counts as accepted
		t.Fatal(err)
	}
	fmt.Fprintf(slow, "GET %s&format=arrow HTTP/1.1\r\nHost: x\r\n\r\n", target)
	head := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(slow, head); err != nil || string(head) != "HTTP/1.1 200" {
		t.Fatalf("a public file is answered %s, %v", head, err)
	}
	go func() {
		for piece := make([]byte, 32<<10); ; time.Sleep(200 * time.Millisecond) { // more than it must accept while nobody else asks
			if _, err := slow.Read(piece); err != nil {
				return
			}
		}
	}()
	s.until(func() bool {
		r, err := s.try("GET", target+"&format=arrow", "", nil)
		return err == nil && r.StatusCode == http.StatusOK
	})
}
