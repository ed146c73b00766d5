package server

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/ratelimit"
	"lastseen/schema"
	"lastseen/server/caller"
	"lastseen/server/transport"
)

// handClock is a clock that a test sets.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newHandClock() *handClock {
	return &handClock{now: time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)}
}

// wantLimited checks what a 429 says of its limit.
func wantLimited(t *testing.T, r reply, retryAfter, policy, limit string) {
	t.Helper()
	r.problem(t)
	for name, want := range map[string]string{"Retry-After": retryAfter, "RateLimit-Policy": policy, "RateLimit": limit} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestRequestsOfOneCallerAreLimited(t *testing.T) {
	t.Parallel()
	clock := newHandClock()
	s := start(t, func(with *setup) {
		with.config.RequestRate, with.config.Now = ratelimit.Rate{Quota: 3, Window: 9 * time.Second}, clock.read
	})
	session := s.session("org_a", "00:00:00:00:0d:01") // by an operator, who has one request left
	key, _ := s.key("org_a", schema.KindAPIKey)
	other, _ := s.key("org_a", schema.KindAPIKey)
	target := pathLastSeen + "?session_id=" + session
	for range 3 {
		if r := s.get(target, key, 200); r.Header.Get("RateLimit") != "" {
			t.Error("an answer within the limit speaks of it")
		}
	}
	wantLimited(t, s.get(target, key, 429), "3", `"requests";q=3;w=9`, `"requests";r=0;t=3`)
	s.get(target, other, 200)
	clock.advance(1500 * time.Millisecond)
	wantLimited(t, s.get(pathSessionsList, key, 429), "2", `"requests";q=3;w=9`, `"requests";r=0;t=2`)
	clock.advance(1500 * time.Millisecond)
	s.get(target, key, 200)
	s.get(target, key, 429)
	for range 3 {
		s.get("/healthz", "", 200)
		s.get("/healthz", "", 200)
	}
	operator := s.token("org_a", keys.RoleOperator) // another token of the same person
	for range 2 {
		s.get(target, operator, 200)
	}
	s.get(target, operator, 429)
	s.get(target, s.token("org_b", keys.RoleOperator), 404)
}

// TestAPollThatIsRefusedIsCountedOnce: the direct way leaves it to the general one, which does not count it again.
func TestAPollThatIsRefusedIsCountedOnce(t *testing.T) {
	t.Parallel()
	clock := newHandClock()
	s := start(t, func(with *setup) {
		with.config.RequestRate, with.config.Now = ratelimit.Rate{Quota: 3, Window: time.Hour}, clock.read
	})
	session := s.session("org_a", "00:00:00:00:0d:02")
	key, _ := s.key("org_a", schema.KindAPIKey)
	target, nowhere := pathLastSeen+"?session_id="+session, pathLastSeen+"?session_id="+strings.Repeat("0", 24)
	holder := s.keepOpen()
	for { // until the cache has the key, without which no poll goes the direct way
		holder.poll(target, key)
		if _, cached := s.Server.services.Authenticator.Known([]byte(key)); cached {
			break
		}
	}
	other := s.keepOpen() // the younger one in any case: through a tunnel, who connects first need not be accepted first
	for _, test := range []struct {
		name  string
		polls func() []int
		want  []int
	}{
		{"for a session that is not there", func() []int {
			return []int{other.poll(nowhere, key), other.poll(nowhere, key), other.poll(target, key), other.poll(target, key)}
		}, []int{404, 404, 200, 429}},
		{"past the rate", func() []int {
			got := []int{other.poll(target, key), other.poll(target, key), other.poll(target, key), other.poll(target, key)}
			clock.advance(20 * time.Minute) // one more
			return append(got, other.poll(target, key), other.poll(target, key))
		}, []int{200, 200, 200, 429, 200, 429}},
		{"for want of a slot", func() []int {
			s.Server.slots.Fix(1)
			return []int{holder.poll(target, key), other.poll(target, key), holder.poll(target, key), holder.poll(target, key)}
		}, []int{200, 503, 200, 429}},
	} {
		clock.advance(time.Hour)
		if got := test.polls(); !slices.Equal(got, test.want) {
			t.Errorf("%s: the answers are %v, want %v", test.name, got, test.want)
		}
	}
}

func TestBadCredentialsFromOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	clock := newHandClock()
	s := start(t, func(with *setup) {
		with.config.FailureRate, with.config.Now = ratelimit.Rate{Quota: 4, Window: 40 * time.Second}, clock.read
	})
	target := pathSessionsList
	known, _ := s.key("org_a", schema.KindAPIKey)
	fresh, _ := s.key("org_a", schema.KindAPIKey)
	revoked, id := s.key("org_a", schema.KindAPIKey)
	admin := s.token("org_a", keys.RoleAdministrator)
	for range 100 { // until the cache has it: ristretto takes a moment
		s.get(target, known, 200)
		if _, cached := s.Server.services.Authenticator.Known([]byte(known)); cached {
			break
		}
	}
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), admin, "", 200)
	for range 6 {
		s.get(target, revoked, 401) // no guess
		s.get(target, "", 401)
	}
	for _, bad := range []string{"ak_x", unknownKey(), "open-sesame"} {
		s.get(target, bad, 401)
	}
	s.post(pathLink, "", `{"token":"guess"}`, 401)
	policy, limit := `"failures";q=4;w=40`, `"failures";r=0;t=10`
	wantLimited(t, s.get(target, "ak_x", 429), "10", policy, limit)
	wantLimited(t, s.post(pathLink, "", `{"token":"guess"}`, 429), "10", policy, limit)
	wantLimited(t, s.get("/nowhere", "ak_x", 429), "10", policy, limit)
	before := s.Server.services.Authenticator.Stats().Loads
	s.get(target, fresh, 429) // it may be good: it is not looked up
	if after := s.Server.services.Authenticator.Stats().Loads; after != before {
		t.Error("past the limit ClickHouse was asked for a key")
	}
	s.get(target, known, 200)
	s.get(target, admin, 200)
	s.get("/healthz", "", 200)
	clock.advance(10 * time.Second)
	s.get(target, fresh, 200)
	s.get(target, "ak_x", 401)
	s.get(target, "ak_x", 429)
}

// TestBadCookiesFromOneAddressAreLimited: a browser's session costs a check of its signature like a user token.
func TestBadCookiesFromOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	plainOnly(t, "a cookie for TLS only is not sent to the tunnel")
	clock := newHandClock()
	s := start(t, func(with *setup) {
		with.config.FailureRate, with.config.Now = ratelimit.Rate{Quota: 5, Window: 50 * time.Second}, clock.read
	})
	neighbour, ended := s.signedIn(owner), s.signedIn(owner)
	cookies := ended.client.Jar.Cookies(&url.URL{Scheme: "http", Host: s.address, Path: "/"})
	if r := ended.send("POST", pathSignOut, ""); r.StatusCode != 200 {
		t.Fatalf("sign out: %s", r.Status)
	}
	fresh := s.link(owner)
	get := func(target, cookie string, want int) reply {
		t.Helper()
		return s.get(target, "", want, header{"Cookie", caller.SessionCookie + "=" + cookie})
	}
	for range 6 {
		get(pathSession, cookies[0].Value, 401) // it was good once
	}
	forged := cookies[0].Value[:len(cookies[0].Value)-8] + "AAAAAAAA"
	get(pathSession, forged, 401)
	get(pathSession, "nonsense", 401)
	get(pathSessionsList, forged, 401)
	s.post(pathSignOut, "", "", 200, header{"Cookie", caller.SessionCookie + "=" + forged})
	get(pathSession, forged, 401)
	policy, limit := `"failures";q=5;w=50`, `"failures";r=0;t=10`
	wantLimited(t, get(pathSession, forged, 429), "10", policy, limit)
	wantLimited(t, s.post(pathSignOut, "", "", 429, header{"Cookie", caller.SessionCookie + "=" + forged}), "10", policy, limit)
	wantLimited(t, s.post(pathLink, "", `{"token":"`+fresh+`"}`, 429), "10", policy, limit)
	if r := neighbour.send("GET", pathSession, ""); r.StatusCode != 200 {
		t.Errorf("a session that was accepted lately is answered %s from the same address", r.Status)
	}
	clock.advance(10 * time.Second)
	get(pathSession, forged, 401)
	get(pathSession, forged, 429)
}

func TestARequestThatAsksFirstCountsOnce(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		with.config.RequestRate, with.config.Now = ratelimit.Rate{Quota: 2, Window: time.Hour}, newHandClock().read
	})
	token := s.token("org_a", keys.RoleDriver)
	for _, want := range []int{200, 200, 429} {
		s.post(pathIngest, token, "[]", want, header{"Expect", "100-continue"})
	}
}

// TestLimitedPollsDoNotAllocate is TestPollsDoNotAllocate within limits; past them connections rest.
func TestLimitedPollsDoNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes sync.Pool drop what it is given")
	}
	s := start(t, func(with *setup) {
		with.config.AccessLog = LogNothing
		with.config.RequestRate = ratelimit.Rate{Quota: 1_000_000_000, Window: time.Second}
		with.config.FailureRate = ratelimit.Rate{Quota: 1_000_000_000, Window: time.Second}
	})
	const requests = 5000
	for _, p := range polls(s) {
		if p.name != "hit" {
			continue
		}
		c := &replay{request: []byte(p.request), answer: make([]byte, 0, 4<<10)}
		allocations := testing.AllocsPerRun(3, func() {
			c.left = requests
			s.Server.http.ServeConn(transport.Listen(nil, transport.Options{MaxConnections: 1}).Wrap(c))
		}) / requests
		if allocations > 0.02 {
			t.Errorf("%s: %.2f allocations a request", p.name, allocations)
		}
	}
}
