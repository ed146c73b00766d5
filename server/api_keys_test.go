package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/schema"
)

// makeKey makes an API key of org_a by HTTP with more fields, such as `"scopes":["history"]`, and returns its text and id.
func (s *service) makeKey(name, more string, headers ...header) (text, id string) {
	s.Helper()
	body := fmt.Sprintf(`{"name":%q,"expires_at_timestamp":%q`, name, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if more != "" {
		body += "," + more
	}
	made := object(s, s.post(pathAPIKeys+"/create/v1", s.token("org_a", keys.RoleOwner), body+"}", 201, headers...))
	return made["key"].(string), made["_id"].(string)
}

func TestAListOfKeysComesInPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.token("org_a", keys.RoleAdministrator)
	for i := range 5 {
		s.makeKey(fmt.Sprintf("number %d", i), "")
	}
	s.makeKey("another", "")
	target := pathAPIKeys + "/list/v1?search=NUMBER&sort_by=name&status=active&limit=2"
	var names []string
	cursor := ""
	for page := 0; page == 0 || cursor != ""; page++ {
		r := s.get(target+"&cursor="+cursor, admin, 200)
		if total := r.Header.Get("Total-Count"); page == 0 && total != "5" || page > 0 && total != "" {
			t.Errorf("page %d says that there are %q", page, total)
		}
		for _, record := range list(t, r) {
			names = append(names, record["name"].(string))
		}
		cursor = r.Header.Get("Next-Cursor")
	}
	if want := "number 0,number 1,number 2,number 3,number 4"; strings.Join(names, ",") != want {
		t.Errorf("the pages hold %q", names)
	}
	if n := len(list(t, s.get(pathAPIKeys+"/list/v1", admin, 200))); n != 6 {
		t.Errorf("%d keys without a parameter", n)
	}
	next := s.get(target, admin, 200).Header.Get("Next-Cursor")
	for name, bad := range map[string]string{
		"status": "status=good", "sort_by": "sort_by=status", "limit": "limit=0", "search": "search=" + strings.Repeat("x", 201),
		"cursor": "sort_by=name&cursor=" + next, // of another search
	} {
		p := s.get(pathAPIKeys+"/list/v1?"+bad, admin, 422).problem(t)
		if at := p.Errors[0].Loc; !slices.Equal(at, []string{"query", name}) {
			t.Errorf("%s: the error is at %v", bad, at)
		}
	}
	if p := s.get(target+"&cursor="+next, s.token("org_b", keys.RoleAdministrator), 422).problem(t); p.Errors[0].Loc[1] != "cursor" {
		t.Errorf("another organisation's cursor: %+v", p)
	}
}

func list(t *testing.T, r reply) (records []map[string]any) {
	t.Helper()
	if err := json.Unmarshal(r.body, &records); err != nil {
		t.Fatalf("want a list: %v: %s", err, r.body)
	}
	return records
}

// TestEveryRouteOfAPIKeysHasAScope: a route without one would be closed to every key that has been limited.
func TestEveryRouteOfAPIKeysHasAScope(t *testing.T) {
	t.Parallel()
	for _, r := range routes() {
		if r.APIKeys != (r.Scope != 0) || r.Scope&^schema.AllScopes != 0 {
			t.Errorf("%s %s: API keys are accepted: %t, the scope is %d", r.method, r.path, r.APIKeys, r.Scope)
		}
	}
}

func TestAKeyIsGoodForItsScopesAlone(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:0c:01")
	s.ingest("org_a", point(session, 1))
	reads := map[string][]string{
		"last_seen": {pathLastSeen + "?session_id=" + session, pathLastSeenBatch},
		"history":   {pathDataPoints + "?start_timestamp=2026-01-01T00:00:00Z&end_timestamp=2026-01-02T00:00:00Z&session_id=" + session},
		"sessions":  {pathSessionsList, pathSessionsGet + "?session_id=" + session, pathTypeahead + "?query=x"},
	}
	for _, scope := range apikey.ScopeNames() {
		key, _ := s.makeKey("for "+scope, fmt.Sprintf(`"scopes":[%q]`, scope))
		for of, targets := range reads {
			for _, target := range targets {
				want := 403
				if of == scope {
					want = 200
				}
				r := s.read(target, key, session)
				if r.StatusCode != want {
					t.Errorf("a key for %s: %s: %s, want %d", scope, target, r.Status, want)
				}
				if r.StatusCode == 403 && !strings.Contains(r.problem(t).Detail, "scopes") {
					t.Errorf("the refusal says %s", r.body)
				}
			}
		}
	}
}

// read asks one of the read routes, of which one is a POST.
func (s *service) read(target, key, session string) reply {
	s.Helper()
	if target == pathLastSeenBatch {
		return s.do("POST", target, key, strings.NewReader(`{"session_ids":["`+session+`"]}`))
	}
	return s.do("GET", target, key, nil)
}

// TestAKeyIsGoodFromItsAddressesAlone asks on both ways, behind a trusted proxy and not.
func TestAKeyIsGoodFromItsAddressesAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ranges, forwarded string
		trusted           bool
		want              int
	}{
		"here":                          {`"127.0.0.0/8"`, "", false, 200},
		"elsewhere":                     {`"192.0.2.0/24","2001:db8::/32"`, "", false, 403},
		"here, as nobody trusted says":  {`"127.0.0.1"`, "192.0.2.7", false, 200},
		"there, as nobody trusted says": {`"192.0.2.0/24"`, "192.0.2.7", false, 403},
		"there, behind a proxy":         {`"192.0.2.0/24"`, "192.0.2.7", true, 200},
		"there, as the client says":     {`"192.0.2.0/24"`, "192.0.2.7, 198.51.100.1", true, 403},
		"the whole of an IPv6 address":  {`"2001:db8::7/128"`, "2001:db8::7", true, 200},
		"its neighbour":                 {`"2001:db8::7/128"`, "2001:db8::8", true, 403},
		"nonsense":                      {`"192.0.2.0/24"`, "unknown", true, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(with *setup) {
				if c.trusted {
					with.config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			})
			session := s.session("org_a", "00:00:00:00:0c:02")
			s.ingest("org_a", point(session, 1))
			key, _ := s.makeKey("placed", `"allowed_ip_ranges":[`+c.ranges+`]`)
			var headers []header
			if c.forwarded != "" {
				headers = append(headers, header{"X-Forwarded-For", c.forwarded})
			}
			for range 3 { // the first is looked up, and goes the general way
				r := s.do("GET", pathLastSeen+"?session_id="+session, key, nil, headers...)
				if r.StatusCode != c.want || c.want == 403 && !strings.Contains(r.problem(t).Detail, "allowed_ip_ranges") {
					t.Errorf("%s: %s, want %d", r.Status, r.body, c.want)
				}
			}
			if r := s.do("GET", pathSessionsList, key, nil, headers...); r.StatusCode != c.want {
				t.Errorf("on another route %s, want %d", r.Status, c.want)
			}
		})
	}
}

func TestAKeyHasARateOfItsOwn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := start(t, func(with *setup) { with.config.Now = func() time.Time { return now } })
	session := s.session("org_a", "00:00:00:00:0c:03")
	slow, _ := s.makeKey("slow", `"requests_per_second":3`)
	other, _ := s.makeKey("other", "")
	target := pathLastSeen + "?session_id=" + session
	for range 3 {
		s.get(target, slow, 200)
	}
	for range 2 {
		r := s.get(target, slow, 429)
		if r.Header.Get("Retry-After") != "1" || r.Header.Get("RateLimit-Policy") != `"key_requests";q=3;w=1` {
			t.Errorf("the refusal has %v", r.Header)
		}
		s.get(target, other, 200)
	}
	if got := s.read(pathLastSeenBatch, slow, session).StatusCode; got != 429 {
		t.Errorf("another route answers %d", got)
	}
}

func TestAnUpdateHoldsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.token("org_a", keys.RoleAdministrator)
	session := s.session("org_a", "00:00:00:00:0c:04")
	key, id := s.makeKey("to be narrowed", `"scopes":["last_seen","history"]`)
	target := pathLastSeen + "?session_id=" + session
	for range 5 {
		s.get(target, key, 200)
	}
	update := pathAPIKeys + "/update/v1?api_key_id=" + id
	record := object(t, s.post(update, admin, `{"name":"narrow","scopes":["history"],"allowed_ip_ranges":["127.0.0.0/8"],"requests_per_second":9}`, 200))
	if record["name"] != "narrow" || fmt.Sprint(record["scopes"], record["allowed_ip_ranges"], record["requests_per_second"]) != "[history] [127.0.0.0/8] 9" || record["key"] != nil {
		t.Errorf("the record is %v", record)
	}
	s.get(target, key, 403)
	s.post(update, admin, `{"allowed_ip_ranges":["127.0.0.2/32"]}`, 200)
	if p := s.get(pathDataPoints+"?session_id="+session+"&start_timestamp=2026-01-01T00:00:00Z&end_timestamp=2026-01-02T00:00:00Z", key, 403).problem(t); !strings.Contains(p.Detail, "address") {
		t.Errorf("the refusal says %s", p.Detail)
	}
	for body, at := range map[string]string{
		`{}`: "body", `{"name":""}`: "name", `{"scopes":["last_seen"]}`: "scopes", `{"scopes":[]}`: "scopes", `{"scopes":["all"]}`: "scopes",
		`{"allowed_ip_ranges":["127.0.0.0/8"]}`: "allowed_ip_ranges", `{"allowed_ip_ranges":["x"]}`: "allowed_ip_ranges", `{"allowed_ip_ranges":[]}`: "allowed_ip_ranges",
		`{"requests_per_second":10}`: "requests_per_second", `{"requests_per_second":0}`: "requests_per_second", `{"requests_per_second":1.5}`: "requests_per_second",
		`{"scopes":"history"}`: "scopes",
	} {
		p := s.post(update, admin, body, 422).problem(t)
		if loc := p.Errors[0].Loc; loc[len(loc)-1] != at {
			t.Errorf("%s: the error is at %v", body, loc)
		}
	}
	for _, foreign := range []string{s.token("org_b", keys.RoleAdministrator), admin} {
		where := id
		if foreign == admin {
			where = "0123456789abcdef01234567"
		}
		s.post(pathAPIKeys+"/update/v1?api_key_id="+where, foreign, `{"name":"x"}`, 404)
	}
	if events := s.get(pathAPIKeys+"/events/v1", admin, 200); !bytes.Contains(events.body, []byte(`"changed":["name","scopes","allowed_ip_ranges","requests_per_second"]`)) {
		t.Errorf("the events are %s", events.body)
	}
	for _, field := range []string{`"scopes":["history"]`, `"allowed_ip_ranges":["10.0.0.0/8"]`, `"requests_per_second":1`} {
		s.post(pathDeviceCredentials+"/create/v1", admin, `{"name":"d","expires_at_timestamp":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`",`+field+`}`, 422)
	}
}

func TestACreationSentAgainNamesTheFirstKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.token("org_a", keys.RoleAdministrator)
	_, id := s.makeKey("first", "", header{"Idempotency-Key", "a request"})
	body := `{"name":"second","expires_at_timestamp":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	r := s.post(pathAPIKeys+"/create/v1", admin, body, 409, header{"Idempotency-Key", "a request"})
	if object(t, r)["_id"] != id || !strings.Contains(r.problem(t).Detail, id) {
		t.Errorf("the refusal says %s, want it to name %s", r.body, id)
	}
	s.post(pathAPIKeys+"/create/v1", s.token("org_b", keys.RoleAdministrator), body, 201, header{"Idempotency-Key", "a request"})
	for _, bad := range []string{strings.Repeat("x", 256), "ü"} {
		if p := s.post(pathAPIKeys+"/create/v1", admin, body, 422, header{"Idempotency-Key", bad}).problem(t); !slices.Equal(p.Errors[0].Loc, []string{"header", "Idempotency-Key"}) {
			t.Errorf("%q: %+v", bad, p)
		}
	}
	if n := len(list(t, s.get(pathAPIKeys+"/list/v1", admin, 200))); n != 1 {
		t.Errorf("%d keys were made", n)
	}
}

// behindProxy is a replay whose address is a trusted proxy's, made once.
type behindProxy struct{ *replay }

var proxyAddress net.Addr = &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}

// RemoteAddr implements net.Conn.
func (behindProxy) RemoteAddr() net.Addr { return proxyAddress }

// TestALimitedKeyCostsNoAllocation polls on both ways with a key that has limits of every kind, behind a proxy.
func TestALimitedKeyCostsNoAllocation(t *testing.T) {
	if raceDetector {
		t.Skip("with the race detector pools forget what they hold")
	}
	s := start(t, func(with *setup) {
		with.config.AccessLog, with.config.TrustedProxies = LogNothing, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	session := s.session("org_a", "00:00:00:00:0c:05")
	s.ingest("org_a", point(session, 1))
	key, _ := s.makeKey("limited", `"scopes":["last_seen"],"allowed_ip_ranges":["192.0.2.0/24","2001:db8::/32"],"requests_per_second":1000000`)
	for status, from := range map[int]string{200: "198.51.100.1, 2001:db8::77", 403: "2001:db9::77"} {
		request := "GET " + pathLastSeen + "?session_id=" + session + " HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + from + "\r\nAuthorization: Bearer " + key + "\r\n\r\n"
		for name, connect := range ways {
			const requests = 2000
			c := &replay{request: []byte(request), answer: make([]byte, 0, 4<<10)}
			allocations := testing.AllocsPerRun(3, func() {
				c.left = requests
				s.Server.http.ServeConn(connect(s.Server, behindProxy{c}))
			}) / requests
			if want := fmt.Sprintf("HTTP/1.1 %d ", status); !bytes.HasPrefix(c.answer, []byte(want)) {
				t.Errorf("%s: %.60q, want %s", name, c.answer, want)
			}
			if allocations > 0.05 {
				t.Errorf("%d, %s: %.2f allocations a request", status, name, allocations)
			}
		}
	}
}

// TestBothWaysDecideAlike about a key with limits: what the direct way does not answer, the general way refuses.
func TestBothWaysDecideAlike(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:0c:06")
	s.ingest("org_a", point(session, 1))
	for more, want := range map[string]bool{
		`"scopes":["last_seen"]`: true, `"scopes":["history","sessions"]`: false,
		`"allowed_ip_ranges":["127.0.0.0/8"]`: true, `"allowed_ip_ranges":["10.0.0.0/8"]`: false,
		`"requests_per_second":1000`: true,
	} {
		key, _ := s.makeKey("limited", more)
		r := s.do("GET", pathLastSeen+"?session_id="+session, key, nil)
		if (r.StatusCode == http.StatusOK) != want {
			t.Errorf("%s: the general way answers %s", more, r.Status)
		}
		for { // until the cache has the key
			if _, known := s.Server.services.Authenticator.Known([]byte(key)); known {
				break
			}
			s.do("GET", pathLastSeen+"?session_id="+session, key, nil)
		}
		c := &here{replay: &replay{}}
		answered, err := s.directly(c, "GET "+pathLastSeen+"?session_id="+session+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+key+"\r\n\r\n")
		if err != nil || answered != want {
			t.Errorf("%s: the direct way answers: %t, error %v", more, answered, err)
		}
	}
}

// here is a replay from this machine.
type here struct{ *replay }

// RemoteAddr implements net.Conn.
func (here) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// TestUsesOfKeysAreToldByDayRouteAndOutcome: each request counts once, whichever way it goes.
func TestUsesOfKeysAreToldByDayRouteAndOutcome(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.token("org_a", keys.RoleAdministrator)
	session := s.session("org_a", "00:00:00:00:0c:07")
	s.ingest("org_a", point(session, 1))
	key, id := s.makeKey("counted", `"scopes":["last_seen","sessions"]`)
	target := pathLastSeen + "?session_id=" + session
	want := map[string]float64{}
	note := func(route, outcome string, r reply, status int) {
		t.Helper()
		if r.StatusCode != status {
			t.Fatalf("%s: %s, want %d", route, r.Status, status)
		}
		want[route+" "+outcome]++
	}
	tag := s.get(target, s.token("org_a", keys.RoleOperator), 200).Header.Get("ETag")
	for range 30 { // the first ones on the general way, the others directly
		note(pathLastSeen, "ok", s.do("GET", target, key, nil), 200)
		note(pathLastSeen, "not_modified", s.do("GET", target, key, nil, header{"If-None-Match", tag}), 304)
	}
	note(pathLastSeen, "refused", s.do("GET", pathLastSeen+"?session_id=0123456789abcdef01234567", key, nil), 404)
	note(pathLastSeen, "refused", s.do("GET", pathLastSeen, key, nil), 422)
	note(pathLastSeenBatch, "ok", s.read(pathLastSeenBatch, key, session), 200)
	note(pathDataPoints, "refused", s.do("GET", pathDataPoints, key, nil), 403)
	note(pathSessionsList, "ok", s.do("GET", pathSessionsList, key, nil), 200)
	note("other", "refused", s.do("GET", pathAPIKeys+"/list/v1", key, nil), 403)
	note("other", "refused", s.do("GET", "/nowhere", key, nil), 403)
	if err := s.Server.services.Authenticator.FlushUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	items := func(query string) map[string]float64 {
		got := map[string]float64{}
		for _, item := range object(t, s.get(pathAPIKeys+"/usage/v1?"+query, admin, 200))["items"].([]any) {
			line := item.(map[string]any)
			if line["api_key_id"] != id || line["date"] != time.Now().UTC().Format(time.DateOnly) {
				t.Errorf("a line is %v", line)
			}
			got[line["route"].(string)+" "+line["outcome"].(string)] += line["requests"].(float64)
		}
		return got
	}
	if got := items("api_key_id=" + id); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted are\n%v, want\n%v", got, want)
	}
	if got := items(""); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("of all keys %v", got)
	}
	if got := items("start_date=2026-01-01&end_date=2026-01-31"); len(got) != 0 {
		t.Errorf("of another month %v", got)
	}
	for bad, at := range map[string]string{"start_date=x": "start_date", "end_date=2026-02-30": "end_date", "start_date=2026-01-02&end_date=2026-01-01": "end_date", "start_date=2020-01-01": "start_date"} {
		if p := s.get(pathAPIKeys+"/usage/v1?"+bad, admin, 422).problem(t); p.Errors[0].Loc[1] != at {
			t.Errorf("%s: the error is at %v", bad, p.Errors[0].Loc)
		}
	}
	for _, absent := range []string{"x", "", "0123456789abcdef01234567", id + ","} {
		s.get(pathAPIKeys+"/usage/v1?api_key_id="+absent, admin, 404)
	}
	s.get(pathAPIKeys+"/usage/v1?api_key_id="+id, s.token("org_b", keys.RoleAdministrator), 404)
}
