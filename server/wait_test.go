package server

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/limit"
	"lastseen/server/problem"
)

// longPoll begins a long poll and returns its answer to come, when it waits.
func (s *service) longPoll(target, credential, tag string, headers ...header) <-chan reply {
	s.Helper()
	before := s.longPolls()
	answer := make(chan reply, 1)
	go func() {
		r, err := s.try("GET", target, credential, nil, append(headers, header{"If-None-Match", tag}, header{"Prefer", "wait=20"})...)
		if err != nil {
			s.Error(err)
		}
		answer <- r
	}()
	s.until(func() bool { return s.longPolls() > before })
	return answer
}

// polled makes a session of org_a with a point, and returns what is needed to poll it: its id, a key, the
// address and the entity tag of what it shows.
func (s *service) polled(mac string) (session, key, target, tag string) {
	s.Helper()
	session = s.session("org_a", mac)
	s.ingest("org_a", point(session, 1))
	key, _ = s.key("org_a", schema.KindAPIKey)
	target = pathLastSeen + "?session_id=" + session
	return session, key, target, s.get(target, key, 200).Header.Get("ETag")
}

func (s *service) longPolls() int {
	for _, a := range s.Stats().Admissions {
		if a.Name == "long_polls" {
			return a.InUse
		}
	}
	return 0
}

// until waits for something that is about to happen.
func (s *service) until(happened func() bool) {
	s.Helper()
	for end := time.Now().Add(20 * time.Second); !happened(); runtime.Gosched() {
		if time.Now().After(end) {
			s.Fatal("it does not happen")
		}
	}
}

// answers checks the answer of a long poll.
func (s *service) answers(poll <-chan reply, status int, holds string) reply {
	s.Helper()
	r := <-poll
	if r.Response == nil {
		s.FailNow()
	}
	if r.StatusCode != status || !strings.Contains(string(r.body), holds) {
		s.Errorf("the long poll was answered %s %s, want %d with %q", r.Status, r.body, status, holds)
	}
	return r
}

func TestALongPollIsAnsweredByTheNextPointOfItsSession(t *testing.T) {
	t.Parallel()
	s := start(t)
	session, other := s.session("org_a", "00:00:00:00:0f:01"), s.session("org_a", "00:00:00:00:0f:02")
	s.ingest("org_a", point(session, 1)+point(other, 1))
	key, _ := s.key("org_a", schema.KindAPIKey)
	target := pathLastSeen + "?session_id=" + session
	tag := s.get(target, key, 200).Header.Get("ETag")
	first, second := s.longPoll(target, key, tag), s.longPoll(target, key, tag)
	s.ingest("org_a", point(other, 2))
	s.ingest("org_a", point(session, 0)) // older: nothing that is shown changes
	select {
	case r := <-first:
		t.Fatalf("answered %s %s without a change", r.Status, r.body)
	default:
	}
	s.ingest("org_a", point(session, 3))
	for _, poll := range []<-chan reply{first, second} {
		r := s.answers(poll, 200, session)
		if newest := s.get(target, key, 200); string(r.body) != string(newest.body) || r.Header.Get("ETag") != newest.Header.Get("ETag") {
			t.Errorf("answered %s, and the newest point is %s", r.body, newest.body)
		}
		if got := r.Header.Get("Preference-Applied"); got != "wait=20" {
			t.Errorf("Preference-Applied: %q", got)
		}
	}
	if n := s.longPolls(); n != 0 {
		t.Errorf("%d requests still wait", n)
	}
}

func TestALongPollIsAnsweredByWhateverChangesWhatItsCallerSees(t *testing.T) {
	t.Parallel()
	s := start(t)
	owner := s.token("org_a", keys.RoleOwner)
	session := s.session("org_a", "00:00:00:00:0f:03")
	empty := s.session("org_a", "00:00:00:00:0f:04")
	s.ingest("org_a", point(session, 1))
	s.post(pathSharedOrgs, owner, fmt.Sprintf(`{"session_id":%q,"add_org_ids":["org_b"]}`, session), 200)
	s.post(pathUpdateSession+"?session_id="+session, owner, `{"public":true}`, 200)
	key, _ := s.key("org_a", schema.KindAPIKey)
	shared, _ := s.key("org_b", schema.KindAPIKey)
	revoked, id := s.key("org_a", schema.KindAPIKey)
	target, public := pathLastSeen+"?session_id="+session, pathLastSeenPublic+"?session_id="+session
	now := s.get(target, key, 200)
	tag := now.Header.Get("ETag")

	marked := s.longPoll(target, key, tag)
	point1 := strings.Split(string(now.body), `"`)[3]
	s.post(pathOutlier, owner, fmt.Sprintf(`{"outlier":true,"tracking_session_by_device_data_point_ids":[%q]}`, point1), 200)
	tag = s.answers(marked, 200, "null").Header.Get("ETag")

	unshared := s.longPoll(target, shared, tag)
	s.post(pathSharedOrgs, owner, fmt.Sprintf(`{"session_id":%q,"remove_org_ids":["org_b"]}`, session), 200)
	s.answers(unshared, 404, "no such session")

	private := s.longPoll(public, "", tag)
	s.post(pathUpdateSession+"?session_id="+session, owner, `{"public":false}`, 200)
	s.answers(private, 404, "no such session")

	refused := s.longPoll(target, revoked, tag)
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), owner, "", 200)
	s.ingest("org_a", point(session, 2))
	s.answers(refused, 401, "revoked")

	begun := s.longPoll(pathLastSeen+"?session_id="+empty, key, s.get(pathLastSeen+"?session_id="+empty, key, 200).Header.Get("ETag"))
	s.ingest("org_a", point(empty, 1))
	s.answers(begun, 200, empty)
}

func TestAPollThatHasNothingToWaitForIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, key, target, tag := s.polled("00:00:00:00:0f:05")
	foreign, _ := s.key("org_b", schema.KindAPIKey)
	for name, c := range map[string]struct {
		key     string
		status  int
		headers []header
	}{
		"no tag":           {key, 200, []header{{"Prefer", "wait=20"}}},
		"an old tag":       {key, 200, []header{{"Prefer", "wait=20"}, {"If-None-Match", `"old"`}}},
		"no seconds":       {key, 304, []header{{"Prefer", "wait=0"}, {"If-None-Match", tag}}},
		"no number":        {key, 304, []header{{"Prefer", "wait=soon"}, {"If-None-Match", tag}}},
		"another prefer":   {key, 304, []header{{"Prefer", "respond-async"}, {"If-None-Match", tag}}},
		"a foreign caller": {foreign, 404, []header{{"Prefer", "wait=20"}, {"If-None-Match", tag}}},
	} {
		if r := s.get(target, c.key, c.status, c.headers...); r.Header.Get("Preference-Applied") != "" {
			t.Errorf("%s: Preference-Applied is %q", name, r.Header.Get("Preference-Applied"))
		}
	}
	r := s.get(target, key, 304, header{"Prefer", "wait=1"}, header{"If-None-Match", tag})
	if r.Header.Get("Preference-Applied") != "wait=1" || r.Header.Get("ETag") != tag {
		t.Errorf("after a second in vain: %v", r.Header)
	}
}

func TestLongPollsPastTheLimitAreAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.LongPolls = 1 })
	session, key, target, tag := s.polled("00:00:00:00:0f:06")
	waits := s.longPoll(target, key, tag)
	s.get(target, key, 304, header{"Prefer", "wait=20"}, header{"If-None-Match", tag})
	s.ingest("org_a", point(session, 2))
	s.answers(waits, 200, session)
}

func TestAShutdownAnswersLongPolls(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, key, target, tag := s.polled("00:00:00:00:0f:07")
	waits := s.longPoll(target, key, tag)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	s.answers(waits, 304, "")
}

// TestALongPollIsAllowedAgainInItsTurn: where an organisation asks for much, each answer to a request that prefers to wait comes in
// its turn, the first one too, and shows nothing to a credential that was revoked before.
// TestNothingIsAnsweredOnceTheStoreWasSetBack has polls of both ways, one that waits and what changes something refused, and what anybody may ask
// answered.
func TestNothingIsAnsweredOnceTheStoreWasSetBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	session, key, target, tag := s.polled("00:00:00:00:00:01")
	waiting := s.longPoll(target, key, tag)
	s.Server.Refuse(problem.StoreSetBack)
	s.Server.services.LastSeen.WakeAll()
	if r := <-waiting; r.StatusCode != 503 || !strings.Contains(string(r.body), "set back") {
		t.Errorf("a poll that waited is answered %d %s", r.StatusCode, r.body)
	}
	for range 2 { // the second on a connection that polls
		s.get(target, key, 503)
	}
	s.post(pathIngest, s.token("org_a", keys.RoleDriver), point(session, 2), 503, header{"Content-Type", "application/x-ndjson"})
	s.get("/healthz", "", 200)
}

func TestALongPollIsAllowedAgainInItsTurn(t *testing.T) {
	t.Parallel()
	s := start(t)
	owner := s.token("org_a", keys.RoleOwner)
	_, key, target, tag := s.polled("00:00:00:00:0f:0b")
	revoked, id := s.key("org_a", schema.KindAPIKey)
	s.shortTurns = limit.NewTurns(&s.ids.count, 1<<20) // the second turn is minutes away
	s.ids.count.Add(1000)                              // others
	s.get(target, key, 200, header{"Prefer", "wait=20"})
	var inTheirTurns []<-chan reply
	for _, sent := range []string{`"none"`, ""} {
		answer, before := make(chan reply, 1), s.Stats().InFlight
		go func() {
			r, err := s.try("GET", target, revoked, nil, header{"If-None-Match", sent}, header{"Prefer", "wait=20"})
			if err != nil {
				t.Error(err)
			}
			answer <- r
		}()
		s.until(func() bool { return s.Stats().InFlight > before || len(answer) > 0 })
		inTheirTurns = append(inTheirTurns, answer)
	}
	s.get(target, key, 304, header{"If-None-Match", tag}) // a plain poll has no turns
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), owner, "", 200)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for _, answer := range inTheirTurns {
		s.answers(answer, 401, "revoked")
	}
}

func TestLongPollsAreCountedByTheirOutcome(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.LongPolls = 1 })
	session, key, target, tag := s.polled("00:00:00:00:0f:09")
	want := map[string]uint64{}
	counted := func(outcomes ...string) {
		t.Helper()
		for _, outcome := range outcomes {
			want[outcome]++
		}
		for outcome, got := range s.Stats().LongPolls {
			if got != want[outcome] {
				t.Errorf("%d waits are counted as %s, want %d", got, outcome, want[outcome])
			}
		}
	}
	s.get(target, key, 200, header{"Prefer", "wait=20"}, header{"If-None-Match", `"old"`})
	counted() // it had nothing to wait for

	waits := s.longPoll(target, key, tag)
	s.get(target, key, 304, header{"Prefer", "wait=20"}, header{"If-None-Match", tag})
	s.ingest("org_a", point(session, 2))
	tag = s.answers(waits, 200, session).Header.Get("ETag")
	counted(waitNoPlace, waitChanged)

	s.get(target, key, 304, header{"Prefer", "wait=1"}, header{"If-None-Match", tag})
	counted(waitTimedOut)

	client, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fmt.Fprintf(client, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIf-None-Match: %s\r\nPrefer: wait=60\r\n\r\n", target, key, tag)
	client.(*net.TCPConn).CloseWrite() // who sends nothing any more counts as gone
	client.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := client.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the wait for a client that has gone did not end: %v", err)
	}
	counted(waitDeparted)

	revoked, id := s.key("org_a", schema.KindAPIKey)
	waits = s.longPoll(target, revoked, tag)
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), s.token("org_a", keys.RoleOwner), "", 200)
	s.ingest("org_a", point(session, 3))
	s.answers(waits, 401, "revoked")
	counted(waitRefused)

	waits = s.longPoll(target, key, s.get(target, key, 200).Header.Get("ETag"))
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.answers(waits, 304, "")
	counted(waitStopped)
}

func TestTheWaitOfPreferIsReadOutsideQuotedStringsOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"wait=10":                                 10 * time.Second,
		`note="a, wait=9", wait=4`:                4 * time.Second,
		`note="a, wait=9"`:                        0,
		`note="\", wait=9", wait=4`:               4 * time.Second,
		`note="x; y, wait=9"; z=", wait=8"`:       0,
		`respond-async; a="b;c", wait="6"; d=","`: 6 * time.Second,
	} {
		if got := waitPreference([][]byte{[]byte(text)}); got != want {
			t.Errorf("%s asks to wait %v, want %v", text, got, want)
		}
	}
}

// FuzzWaitPreference checks that a wait that was read can be written and read again, and that no text
// within a quoted string is taken for one.
func FuzzWaitPreference(f *testing.F) {
	for _, text := range []string{"wait=10", `note="a, wait=9", wait=4`, `", wait=9`, `\`, "respond-async, wait=5", `Wait="7"; x`, "wait", "wait=-1", "wait=99999999999", ",,wait =3,", "wait=1, wait=2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		wait := waitPreference([][]byte{[]byte(text)})
		if wait < 0 || wait > longestWait || wait%time.Second != 0 {
			t.Fatalf("%q asks to wait %v", text, wait)
		}
		if wait > 0 && !strings.Contains(strings.ToLower(text), "wait") {
			t.Fatalf("%q is taken for a wait of %v", text, wait)
		}
		if wait > 0 { // what was read can be written and read again
			again := waitPreference([][]byte{[]byte("respond-async"), fmt.Appendf(nil, "handling=lenient, wait=%d", wait/time.Second)})
			if again != wait {
				t.Fatalf("%v became %v", wait, again)
			}
		}
		quoted := `note="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `", wait=7`
		if got := waitPreference([][]byte{[]byte(quoted)}); got != 7*time.Second {
			t.Fatalf("%s asks to wait %v", quoted, got)
		}
	})
}
