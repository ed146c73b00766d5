package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/server/transport"
)

// keptOpen is one connection of a client.
type keptOpen struct {
	testing.TB
	net.Conn
	*bufio.Reader
}

func (s *service) keepOpen() *keptOpen {
	s.Helper()
	c := dial(s, s.address)
	return &keptOpen{s.TB, c, bufio.NewReader(c)}
}

// ask sends a request with a body of points and returns the status of its answer.
func (c *keptOpen) ask(method, target, credential, body string) int {
	c.Helper()
	return c.send("%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s",
		method, target, credential, len(body), body)
}

// poll sends a plain poll and returns the status of its answer.
func (c *keptOpen) poll(target, credential string) int {
	c.Helper()
	return c.send("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", target, credential)
}

func (c *keptOpen) send(request string, of ...any) int {
	c.Helper()
	if _, err := fmt.Fprintf(c.Conn, request, of...); err != nil {
		c.Fatal(err)
	}
	answer, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		c.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		c.Fatal(err)
	}
	return answer.StatusCode
}

func TestAConnectionWhosePointsWereRefusedIsNotReadForAWhile(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:0f:31")
	owner := s.token("org_a", keys.RoleOwner)
	target := pathLastSeen + "?session_id=" + session
	connection := s.keepOpen()
	if status := connection.ask("POST", pathIngest, owner, point(session, 1)); status != 200 {
		t.Fatalf("points are answered %d", status)
	}
	s.Server.services.Writer.Close()
	if status := connection.ask("POST", pathIngest, owner, point(session, 2)); status != 503 {
		t.Fatalf("points that nobody takes are answered %d, want 503", status)
	}
	began := time.Now()
	if status := connection.ask("GET", target, owner, ""); status != 200 || time.Since(began) < transport.HoldTime/2 {
		t.Errorf("who does not wait as told is answered %d after %v, want 200 after %v or more", status, time.Since(began), transport.HoldTime/2)
	}
}
