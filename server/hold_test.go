package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/ratelimit"
	"lastseen/schema"
	"lastseen/server/limit"
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
	beside := s.keepOpen() // of the same address, which brings requests of several organisations
	beside.poll(target, owner)
	beside.poll(target, s.token("org_b", keys.RoleOwner))
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

// TestAConnectionThatAskedForMoreThanItsShareIsNotReadForAWhile: refusing would cost nearly what answering does, if its client
// asked again at once.
func TestAConnectionThatAskedForMoreThanItsShareIsNotReadForAWhile(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		with.handle = func(*call) error { return limit.ErrShare }
	})
	connection := s.keepOpen()
	if status := connection.poll("/", "none"); status != 429 {
		t.Fatalf("what is more than a share is answered %d", status)
	}
	began := time.Now()
	if connection.poll("/", "none"); time.Since(began) < transport.HoldTime/2 {
		t.Errorf("who does not wait as told is answered after %v, want %v or more", time.Since(began), transport.HoldTime/2)
	}
}

// TestAnOrganisationMakesOneKeyAtATime: of an organisation that is making one the next waits and is refused in the end, of others it
// is made, and a revocation does not wait for it.
func TestAnOrganisationMakesOneKeyAtATime(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.QueueWait = 100 * time.Millisecond })
	_, id := s.key("org_many", schema.KindAPIKey)
	making, err := s.Server.changes.TryEnter(limit.Request{Owner: "org_many", Weight: 1})
	if err != nil {
		t.Fatal(err)
	}
	create := `{"name":"a key","expires_at_timestamp":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	asks := func(org, target, body string) int {
		r, err := s.try("POST", target, s.token(org, keys.RoleOwner), strings.NewReader(body), header{"Content-Type", "application/json"})
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode
	}
	if status := asks("org_many", pathAPIKeys+"/create/v1", create); status != 429 {
		t.Errorf("a second key at the same time is answered %d, want 429", status)
	}
	if status := asks("org_other", pathAPIKeys+"/create/v1", create); status != 201 {
		t.Errorf("the key of another organisation is answered %d, want 201", status)
	}
	if status := asks("org_many", pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), ""); status != 200 {
		t.Errorf("a revocation is answered %d, want 200", status)
	}
	making.Leave()
	if status := asks("org_many", pathAPIKeys+"/create/v1", create); status != 201 {
		t.Errorf("the next key is answered %d, want 201", status)
	}
}

// TestAConnectionThatIsPastARateIsNotReadForAWhile: of a caller's requests, of a key's own and of bad credentials, whichever way a
// request comes.
func TestAConnectionThatIsPastARateIsNotReadForAWhile(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		with.config.RequestRate = ratelimit.Rate{Quota: 1, Window: time.Hour}
		with.config.FailureRate = ratelimit.Rate{Quota: 1, Window: time.Hour}
	})
	key, _ := s.key("org_b", schema.KindAPIKey)
	unknown, _ := s.key("org_c", schema.KindAPIKey)
	for what, of := range map[string]struct{ target, credential string }{
		"a poll": {pathLastSeen + "?session_id=0123456789abcdef01234567", key}, "another request": {"/tracking/sessions/list/v1", s.token("org_d", keys.RoleOwner)},
		"a bad credential": {"/tracking/sessions/list/v1", unknown[:len(unknown)-1]},
	} {
		connection := s.keepOpen()
		for range 3 {
			if connection.poll(of.target, of.credential) == 429 {
				break
			}
		}
		began := time.Now()
		if status := connection.poll(of.target, of.credential); status != 429 || time.Since(began) < transport.HoldTime/2 {
			t.Errorf("%s past the rate is answered %d after %v, want 429 after %v or more", what, status, time.Since(began), transport.HoldTime/2)
		}
	}
}

// TestAConnectionOfSeveralOrganisationsIsReadOn: it is a proxy's that sends no X-Forwarded-For, and what one of its clients is refused
// is no reason for the others to wait, nor for their points to be refused.
func TestAConnectionOfSeveralOrganisationsIsReadOn(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.RequestRate = ratelimit.Rate{Quota: 20, Window: 100 * time.Hour} })
	greedy, _ := s.key("org_b", schema.KindAPIKey)
	session := s.session("org_a", "00:00:00:00:0f:32")
	owner := s.token("org_a", keys.RoleOwner)
	for name, refused := range map[string]string{"a poll": pathLastSeen + "?session_id=0123456789abcdef01234567", "another request": "/tracking/sessions/list/v1"} {
		connection := s.keepOpen()
		for connection.poll(refused, greedy) != 429 {
		}
		connection.poll(pathLastSeen+"?session_id="+session, owner) // the other organisation, for which it may have rested
		least := time.Hour
		for range 5 { // of which one at least is not held up by the machine
			if status := connection.poll(refused, greedy); status != 429 {
				t.Fatalf("%s past the rate is answered %d, want 429", name, status)
			}
			began := time.Now()
			if status := connection.ask("POST", pathIngest, owner, point(session, 1)); status != 200 {
				t.Errorf("points behind %s of another organisation that was refused are answered %d, want 200", name, status)
			}
			least = min(least, time.Since(began))
		}
		if least >= transport.HoldTime/2 {
			t.Errorf("points behind %s of another organisation that was refused are answered after %v", name, least)
		}
	}
}

// TestANewConnectionFromAProxyIsReadOn: a proxy without X-Forwarded-For opens connections all the time, and of what the first request on one is
// refused nobody else is to notice.
func TestANewConnectionFromAProxyIsReadOn(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.RequestRate = ratelimit.Rate{Quota: 20, Window: 100 * time.Hour} })
	greedy, _ := s.key("org_b", schema.KindAPIKey)
	session := s.session("org_a", "00:00:00:00:0f:33")
	owner := s.token("org_a", keys.RoleOwner)
	const refused = pathLastSeen + "?session_id=0123456789abcdef01234567"
	pooled := s.keepOpen()
	for pooled.poll(refused, greedy) != 429 {
	}
	pooled.poll(pathLastSeen+"?session_id="+session, owner) // by which the address is known as a proxy's
	least := time.Hour
	for range 5 { // of which one at least is not held up by the machine
		opened := s.keepOpen()
		if status := opened.poll(refused, greedy); status != 429 {
			t.Fatalf("a poll past the rate is answered %d, want 429", status)
		}
		began := time.Now()
		if status := opened.ask("POST", pathIngest, owner, point(session, 1)); status != 200 {
			t.Errorf("points of another organisation are answered %d, want 200", status)
		}
		least = min(least, time.Since(began))
	}
	if least >= transport.HoldTime/2 {
		t.Errorf("on a new connection points behind what another organisation was refused are answered after %v", least)
	}
}

// TestRefusalsThatNoPauseHoldsUpComeInTurn: a proxy's connections do not pause, and who opens one for each request does not mind.
func TestRefusalsThatNoPauseHoldsUpComeInTurn(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.RequestRate = ratelimit.Rate{Quota: 1, Window: time.Hour} })
	greedy, _ := s.key("org_b", schema.KindAPIKey)
	const target = pathLastSeen + "?session_id=0123456789abcdef01234567"
	for s.keepOpen().poll(target, greedy) != 429 {
	}
	ahead := func() { // the organisation has had all its turns for a while
		for {
			s.Server.ids.count.Add(1000) // others' requests
			if _, err := s.Server.refusalTurns.Take("org_b", time.Now(), time.Minute); err != nil {
				return
			}
		}
	}
	through := s.keepOpen()
	through.poll(target, greedy)
	for what, ask := range map[string]func() int{
		"the first request of a connection": func() int { return s.keepOpen().poll(target, greedy) },
		"a request through a proxy": func() int {
			return through.send("GET %s HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\nAuthorization: Bearer %s\r\n\r\n", target, greedy)
		},
	} {
		s.until(func() bool {
			ahead()
			began := time.Now()
			if status := ask(); status != 429 {
				t.Fatalf("%s past the rate is answered %d, want 429", what, status)
			}
			return time.Since(began) >= transport.HoldTime
		})
	}
}

// TestWhoIsNotKnownIsAnsweredInTurn: no rate bounds requests without a credential, or with one that was good once, and the processors
// are not theirs alone.
func TestWhoIsNotKnownIsAnsweredInTurn(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.QueueWait = 50 * time.Millisecond })
	revoked, id := s.key("org_a", schema.KindAPIKey)
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), s.token("org_a", keys.RoleOwner), "", 200)
	for _, c := range []struct {
		turns              *limit.Turns
		target, credential string
	}{
		{s.Server.refusalTurns, "/tracking/sessions/list/v1", ""}, {s.Server.refusalTurns, "/tracking/sessions/list/v1", revoked},
		{s.Server.shortTurns, "/none", ""}, {s.Server.shortTurns, "/healthz", ""},
	} {
		connection := s.keepOpen()
		s.until(func() bool {
			for {
				s.Server.ids.count.Add(1000) // others'
				if _, err := c.turns.Take("127.0.0.1/32", time.Now(), time.Minute); err != nil {
					break
				}
			}
			return connection.poll(c.target, c.credential) == 429
		})
	}
}
