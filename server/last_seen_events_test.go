package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema"
)

// eventStream reads server-sent events line by line from a connection, as curl would.
type eventStream struct {
	testing.TB
	response *http.Response
	lines    *bufio.Scanner
	comments int
}

// event is one of them; an empty name stands for a block without event, such as retry alone.
type event struct {
	name, data, id, retry string
}

// events begins a stream, which ends with the test.
func (s *service) events(target, key string, headers ...header) *eventStream {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+target, nil)
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Accept", "text/event-stream")
	for _, h := range headers {
		request.Header.Set(h.name, h.value)
	}
	response, err := new(http.Client).Do(request)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" {
		s.Fatalf("%s %v", response.Status, response.Header)
	}
	return &eventStream{TB: s, response: response, lines: bufio.NewScanner(response.Body)}
}

// next returns the next event, and false at the end of the stream.
func (e *eventStream) next() (got event, ok bool) {
	e.Helper()
	for some := false; e.lines.Scan(); {
		line := e.lines.Text()
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && some:
			return got, true
		case line == "":
		case strings.HasPrefix(line, ":"):
			e.comments++
		case name == "event":
			got.name, some = value, true
		case name == "data":
			got.data, some = value, true
		case name == "id":
			got.id, some = value, true
		case name == "retry":
			got.retry, some = value, true
		default:
			e.Errorf("a line of no kind: %q", line)
		}
	}
	return got, false
}

// wants checks that the next event has a name and holds a text, and returns its id.
func (e *eventStream) wants(name, holds string) string {
	e.Helper()
	got, ok := e.next()
	for ok && got.name == "" {
		got, ok = e.next()
	}
	if !ok || got.name != name || !strings.Contains(got.data, holds) {
		e.Fatalf("the event is %+v, want %s with %s", got, name, holds)
	}
	return got.id
}

func TestEventsTellWhatChanges(t *testing.T) {
	t.Parallel()
	s := start(t)
	owner := s.token("org_a", keys.RoleOwner)
	first, second := s.session("org_a", "00:00:00:00:0d:01"), s.session("org_a", "00:00:00:00:0d:02")
	s.ingest("org_a", point(first, 1))
	key, _ := s.key("org_a", schema.KindAPIKey)
	stream := s.events(pathLastSeenChanges, key)
	for name, want := range map[string]string{"X-Accel-Buffering": "no", "Cache-Control": "no-store, no-transform", "Vary": "Accept, Authorization"} {
		if got := stream.response.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got, _ := stream.next(); got.retry == "" {
		t.Errorf("the stream begins with %+v and does not say when to come back", got)
	}
	stream.wants("last_seen", first)
	s.ingest("org_a", point(second, 1))
	id := stream.wants("last_seen", second)
	s.post(pathTerminate+"?session_id="+first, owner, "", 200)
	stream.wants("gone", first)

	resumed := s.events(pathLastSeenChanges+"?cursor=nonsense", key, header{"Last-Event-ID", id})
	resumed.wants("gone", first)
	if s.longPolls() != 2 {
		t.Errorf("%d count as long polls, want both streams", s.longPolls())
	}
	s.get(pathLastSeenChanges, key, 422, header{"Accept", "text/event-stream"}, header{"Last-Event-ID", "x"})
}

func TestEventsEndAtOnceWhenTheCredentialDoes(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:0d:11")
	s.ingest("org_a", point(session, 1))
	owner := s.token("org_a", keys.RoleOwner)
	key, id := s.key("org_a", schema.KindAPIKey)
	other, _ := s.key("org_a", schema.KindAPIKey)
	stream, goesOn := s.events(pathLastSeenChanges, key), s.events(pathLastSeenChanges, other)
	stream.wants("last_seen", session)
	goesOn.wants("last_seen", session)
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), owner, "", 200)
	revoked := time.Now()
	s.ingest("org_a", point(session, 2))
	if got, more := stream.next(); more {
		t.Errorf("after the revocation came %+v", got)
	}
	if took := time.Since(revoked); took > 3*time.Second {
		t.Errorf("the stream ended %v after the revocation", took)
	}
	goesOn.wants("last_seen", session)

	rotated, id := s.key("org_a", schema.KindAPIKey)
	stream = s.events(pathLastSeenChanges, rotated)
	stream.wants("last_seen", session)
	asked := time.Now() // the grace counts from the rotation, of which one hears a moment later
	s.post(pathAPIKeys+"/rotate/v1?api_key_id="+id.String(), owner, `{"grace_seconds":1}`, 201)
	if got, more := stream.next(); more {
		t.Errorf("after the expiry came %+v", got)
	}
	if took := time.Since(asked); took < 500*time.Millisecond || took > 4*time.Second {
		t.Errorf("the stream ended %v after the rotation with a second's grace", took)
	}
}

func TestEventsAreDrainedAtAShutdown(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:0d:21")
	s.ingest("org_a", point(session, 1))
	key, _ := s.key("org_a", schema.KindAPIKey)
	var streams []*eventStream
	for range 20 {
		stream := s.events(pathLastSeenChanges, key)
		stream.wants("last_seen", session)
		streams = append(streams, stream)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	var returns []string
	for _, stream := range streams {
		last, ok := stream.next()
		if _, more := stream.next(); !ok || more || last.retry == "" {
			t.Errorf("the stream ends with %+v", last)
		}
		if err := stream.lines.Err(); err != nil {
			t.Errorf("the stream is cut: %v", err)
		}
		returns = append(returns, last.retry)
	}
	if slices.Sort(returns); len(slices.Compact(returns)) < 10 {
		t.Errorf("the clients come back together: %v", returns)
	}
	if stopped := s.Stats().LongPolls[waitStopped]; stopped != 20 {
		t.Errorf("%d waits are counted as stopped, want 20", stopped)
	}
}

func TestEventsPastTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.LongPolls = 1 })
	session := s.session("org_a", "00:00:00:00:0d:31")
	s.ingest("org_a", point(session, 1))
	key, _ := s.key("org_a", schema.KindAPIKey)
	s.events(pathLastSeenChanges, key).wants("last_seen", session)
	if r := s.do("GET", pathLastSeenChanges, key, nil, header{"Accept", "text/event-stream"}); r.StatusCode != 503 && r.StatusCode != 429 || r.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v", r.Status, r.Header)
	}
	if r := s.do("HEAD", pathLastSeenChanges, key, nil); r.StatusCode != 200 {
		t.Errorf("HEAD: %s", r.Status)
	}
}

func TestAStreamWhoseClientHasGoneEnds(t *testing.T) {
	t.Parallel()
	s := start(t)
	key, _ := s.key("org_a", schema.KindAPIKey)
	client, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(client, "GET %s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer %s\r\n\r\n", pathLastSeenChanges, key)
	s.until(func() bool { return s.longPolls() == 1 })
	client.Close()
	s.until(func() bool { return s.longPolls() == 0 })
}

func TestASlowReaderOfEventsGetsTheNewestState(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:0d:41")
	s.ingest("org_a", point(session, 1))
	key, _ := s.key("org_a", schema.KindAPIKey)
	stream := s.events(pathLastSeenChanges, key)
	stream.wants("last_seen", session)
	for second := 2; second < 30; second++ {
		s.ingest("org_a", point(session, second))
	}
	for told := 1; ; told++ {
		got, ok := stream.next()
		if !ok {
			t.Fatalf("the stream ended: %v", stream.lines.Err())
		}
		if strings.Contains(got.data, "00:00:29Z") {
			return
		}
		if told > 30 {
			t.Fatalf("told %d times", told)
		}
	}
}

func TestEventsNeedHTTP11(t *testing.T) {
	t.Parallel()
	s := start(t)
	key, _ := s.key("org_a", schema.KindAPIKey)
	client, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fmt.Fprintf(client, "GET %s HTTP/1.0\r\nAccept: text/event-stream\r\nAuthorization: Bearer %s\r\n\r\n", pathLastSeenChanges, key)
	if answer, err := io.ReadAll(client); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 505") {
		t.Errorf("%v %.100s", err, answer)
	}
}
