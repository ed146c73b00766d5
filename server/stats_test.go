package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/problem"
)

func TestStats(t *testing.T) {
	t.Parallel()
	entered, proceed := make(chan struct{}), make(chan struct{})
	s := start(t)
	before := s.Stats().Refused
	key, _ := s.key("org_a", schema.KindAPIKey)
	s.get(pathLastSeen, key, 422)
	s.get(pathLastSeen+"?session_id=x", key, 404)
	s.get(pathLastSeen+"?session_id=x", "", 401)
	s.get(pathLastSeen+"?session_id=x", unknownKey(), 401)
	s.get(pathLastSeen+"?session_id=x", s.token("org_a", keys.RoleDriver), 403)
	s.get("/console/main.js", "", 200)
	s.get("/console/", "", 200)
	s.get("/nowhere/"+strings.Repeat("x", 20), "", 404)
	s.do("DELETE", pathLastSeen, "", nil)
	stats := s.Stats()
	for reason, want := range map[string]uint64{
		problem.ReasonInput: 1, problem.ReasonNotFound: 1, problem.ReasonNoCredential: 1, problem.ReasonInvalid: 1, problem.ReasonRole: 1, problem.ReasonNoRoute: 2, problem.ReasonBusy: 0,
	} {
		if got := stats.Refused[reason] - before[reason]; got != want {
			t.Errorf("%d requests were refused as %s, want %d", got, reason, want)
		}
	}
	type of struct{ method, route, class string }
	counts := map[of]uint64{}
	for _, r := range stats.Requests {
		counts[of{r.Method, r.Route, r.Class}] = r.Duration.Count()
		if r.Duration.Count() > 0 && (r.Duration.Sum <= 0 || time.Duration(r.Duration.Sum) > time.Minute) {
			t.Errorf("%s took %s", r.Route, time.Duration(r.Duration.Sum))
		}
	}
	for name, want := range map[of]uint64{
		{"GET", pathLastSeen, "4xx"}: 6, {"GET", "/console/", "2xx"}: 2, {"", "(none)", "4xx"}: 1, {"GET", pathLastSeen, "2xx"}: 0,
	} {
		if counts[name] != want {
			t.Errorf("%d requests %v, want %d", counts[name], name, want)
		}
	}
	held := start(t, func(with *setup) {
		with.handle = func(c *call) error { close(entered); <-proceed; c.reply(200, []byte("1")); return nil }
	})
	done := make(chan reply)
	go func() { done <- held.do("GET", "/", "", nil) }()
	<-entered
	if stats := held.Stats(); stats.InFlight != 1 || stats.Admissions[2].InUse != 1 {
		t.Errorf("during a request: %+v", stats)
	}
	close(proceed)
	<-done
	if err := held.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stats := held.Stats(); stats.InFlight != 0 || stats.Admissions[2].InUse != 0 {
		t.Errorf("after the end: %+v", stats)
	}
}

func TestARequestThatAsksFirstIsTimedFromItsOwnBeginning(t *testing.T) {
	t.Parallel()
	s := start(t)
	client := *s.client
	s.client = &client
	var fresh http.Transport // a connection of its own, of which fasthttp knows no time yet
	defer fresh.CloseIdleConnections()
	s.client.Transport = &fresh
	s.post(pathIngest, "", "[]", 401, header{"Expect", "100-continue"})
	for _, r := range s.Stats().Requests {
		// A coarse clock may not have moved; a beginning that is not known would make years of it, or less than nothing.
		if took := time.Duration(r.Duration.Sum); took < 0 || took > time.Minute {
			t.Errorf("%s took %s", r.Route, took)
		}
	}
}
