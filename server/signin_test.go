package server

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/keys/people/oidc"
	"lastseen/keys/people/oidc/oidctest"
	"lastseen/server/caller"
	"lastseen/server/console"
)

var owner = people.Person{UserID: "user_olga", Memberships: []people.Membership{
	{OrgID: "org_a", Role: keys.RoleOwner}, {OrgID: "org_b", Role: keys.RoleOperator},
}}

// browser is an HTTP client that keeps cookies and follows no redirect.
type browser struct {
	*service
	client *http.Client
	csrf   string
}

func (s *service) browser() *browser {
	s.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	return &browser{s, &http.Client{
		Jar: jar, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, ""}
}

// signedIn is a browser that a sign-in link has signed in.
func (s *service) signedIn(person people.Person) *browser {
	s.Helper()
	b := s.browser()
	r := b.send("POST", pathLink, `{"token":"`+s.link(person)+`"}`)
	if r.StatusCode != 200 {
		s.Fatalf("sign in: %s: %s", r.Status, r.body)
	}
	b.csrf, _ = object(s, r)["csrf_token"].(string)
	return b
}

func (s *service) link(person people.Person) string {
	s.Helper()
	token, err := s.issuer.SignLink(person, time.Minute)
	if err != nil {
		s.Fatal(err)
	}
	return token
}

// send sends a request as a page of the service does, but for what the headers change; an empty value
// leaves a header out.
func (b *browser) send(method, target, body string, headers ...header) reply {
	b.Helper()
	if strings.HasPrefix(target, "/") {
		target = "http://" + b.address + target
	}
	request, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	request.Header.Set("X-CSRF-Token", b.csrf)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		request.Header.Set(h.name, h.value)
		if h.value == "" {
			request.Header.Del(h.name)
		}
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	return reply{response, content}
}

func newKeyBody(name string) string {
	return `{"name":"` + name + `","expires_at_timestamp":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
}

func TestASignInLinkSignsABrowserInOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.link(owner)
	for range 3 { // a preview of the link, or three
		if r := s.get(console.LinkPath, "", 200); !strings.Contains(string(r.body), "link.js") || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("the link's page: %v %s", r.Header, r.body)
		}
	}
	b := s.browser()
	r := b.send("POST", pathLink, `{"token":"`+token+`"}`)
	cookie := r.Header.Get("Set-Cookie")
	for _, part := range []string{"lastseen_session=", "; HttpOnly", "; SameSite=Strict", "; path=/", "; max-age="} {
		if r.StatusCode != 200 || !strings.Contains(cookie, part) {
			t.Errorf("%s: the cookie lacks %q: %s", r.Status, part, cookie)
		}
	}
	view := object(t, b.send("GET", pathSession, ""))
	if view["user_id"] != "user_olga" || view["org_id"] != "org_a" || view["role"] != "owner" || view["provider"] != false ||
		len(view["organisations"].([]any)) != 2 || len(view["csrf_token"].(string)) < 40 {
		t.Errorf("the session is %v", view)
	}
	for name, c := range map[string]struct {
		body   string
		detail string
		status int
	}{
		"used again":      {`{"token":"` + token + `"}`, "used already", 401},
		"made elsewhere":  {`{"token":"` + start(t).link(owner) + `"}`, "not a sign-in link of this service", 401},
		"made up":         {`{"token":"a.b.c"}`, "not a sign-in link of this service", 401},
		"a user token":    {`{"token":"` + s.token("org_a", keys.RoleOwner) + `"}`, "not a sign-in link of this service", 401},
		"left out":        {`{}`, "token", 422},
		"of another type": {`{"token":7}`, "token", 422},
	} {
		r := s.browser().send("POST", pathLink, c.body)
		if p := r.problem(t); r.StatusCode != c.status || !strings.Contains(p.Detail, c.detail) || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %s: %s", name, r.Status, r.body)
		}
	}
	if r := s.browser().send("POST", pathLink, `{"token":"`+s.link(owner)+`"}`, header{"Sec-Fetch-Site", "cross-site"}); r.StatusCode != 403 {
		t.Errorf("from a page of another site: %s", r.Status)
	}
	if log := s.log.String(); strings.Contains(log, token) || strings.Contains(log, token[len(token)-40:]) {
		t.Error("the log holds the link's token")
	}
}

func TestABrowserActsForItsPersonInTheOrganisationItNames(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.signedIn(owner)
	in := func(org string) header { return header{caller.HeaderOrganisation, org} }
	r := b.send("POST", pathAPIKeys+"/create/v1", newKeyBody("made in a browser"))
	if made := object(t, r); r.StatusCode != 201 || made["org_id"] != "org_a" || made["created_by_user_id"] != "user_olga" {
		t.Errorf("%s: %s", r.Status, r.body)
	}
	for _, c := range []struct {
		target string
		header header
		status int
	}{
		{pathAPIKeys + "/list/v1", in("org_a"), 200},
		{pathAPIKeys + "/list/v1", in(""), 200},
		{pathAPIKeys + "/list/v1", in("org_b"), 403}, // an operator there
		{pathSessionsList, in("org_b"), 200},
		{pathSessionsList, in("org_c"), 403},
		{pathSessionsList, in("org_a,org_b"), 403},
		{pathSession, in("org_b"), 200},
	} {
		if r := b.send("GET", c.target, "", c.header); r.StatusCode != c.status {
			t.Errorf("GET %s in %q: %s, want %d", c.target, c.header.value, r.Status, c.status)
		}
	}
	if r := b.send("POST", pathAPIKeys+"/create/v1", newKeyBody("x"), in("org_b")); r.StatusCode != 403 {
		t.Errorf("an operator makes a key: %s", r.Status)
	}
	if r := s.get(pathSession, s.token("org_x", keys.RoleDriver), 200); object(t, r)["org_id"] != "org_x" || object(t, r)["csrf_token"] != nil {
		t.Errorf("a user token's session: %s", r.body)
	}
}

// TestRequestsOfOtherSitesChangeNothing: with the cookie alone, however it got there, nothing changes.
func TestRequestsOfOtherSitesChangeNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.signedIn(owner)
	other := s.signedIn(owner)
	create := pathAPIKeys + "/create/v1"
	for name, headers := range map[string][]header{
		"without the token":                     {{"X-CSRF-Token", ""}},
		"with another session's token":          {{"X-CSRF-Token", other.csrf}},
		"with half the token":                   {{"X-CSRF-Token", b.csrf[:20]}},
		"from another site":                     {{"Sec-Fetch-Site", "cross-site"}},
		"from a sibling's subdomain":            {{"Sec-Fetch-Site", "same-site"}},
		"typed into the address bar":            {{"Sec-Fetch-Site", "none"}},
		"from another origin in an old browser": {{"Sec-Fetch-Site", ""}, {"Origin", "http://evil.example"}},
		"from no origin in an old browser":      {{"Sec-Fetch-Site", ""}, {"Origin", "null"}},
		"from an origin that ends alike":        {{"Sec-Fetch-Site", ""}, {"Origin", "http://evil.example://" + s.address}},
	} {
		r := b.send("POST", create, newKeyBody("forged"), headers...)
		if p := r.problem(t); r.StatusCode != 403 || !strings.Contains(p.Detail, "page of this service") {
			t.Errorf("%s: %s: %s", name, r.Status, r.body)
		}
		if r := b.send("POST", pathSignOut, "", headers...); r.StatusCode != 403 {
			t.Errorf("%s, signing out: %s", name, r.Status)
		}
	}
	if r := b.send("GET", pathAPIKeys+"/list/v1", ""); string(r.body) != "[]" {
		t.Errorf("there are keys now: %s", r.body)
	}
	for name, headers := range map[string][]header{
		"our page in an old browser":  {{"Sec-Fetch-Site", ""}, {"Origin", "http://" + s.address}},
		"a client that is no browser": {{"Sec-Fetch-Site", ""}},
	} {
		if r := b.send("POST", create, newKeyBody("ours"), headers...); r.StatusCode != 201 {
			t.Errorf("%s: %s: %s", name, r.Status, r.body)
		}
	}
	// A bearer token is never sent by a browser on its own, so it needs none of this.
	s.post(create, s.token("org_a", keys.RoleOwner), newKeyBody("script"), 201, header{"Sec-Fetch-Site", "cross-site"})
}

func TestSigningOutEndsTheSessionForGood(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.signedIn(owner)
	address := &url.URL{Scheme: "http", Host: s.address}
	stolen := b.client.Jar.Cookies(address)
	if r := b.send("POST", pathSignOut, ""); r.StatusCode != 200 || string(r.body) != "true" {
		t.Fatalf("%s: %s", r.Status, r.body)
	}
	if left := b.client.Jar.Cookies(address); len(left) != 0 {
		t.Errorf("the browser keeps %v", left)
	}
	if r := b.send("GET", pathSession, ""); r.StatusCode != 401 {
		t.Errorf("afterwards: %s", r.Status)
	}
	if r := b.send("POST", pathSignOut, ""); r.StatusCode != 200 {
		t.Errorf("again: %s", r.Status)
	}
	thief := s.browser()
	thief.csrf = b.csrf
	thief.client.Jar.SetCookies(address, stolen)
	for _, target := range []string{pathSession, pathAPIKeys + "/list/v1"} {
		if r := thief.send("GET", target, ""); r.StatusCode != 401 {
			t.Errorf("a copy of the cookie, at %s: %s", target, r.Status)
		}
	}
	if r := thief.send("POST", pathAPIKeys+"/create/v1", newKeyBody("stolen")); r.StatusCode != 401 {
		t.Errorf("a copy of the cookie makes a key: %s", r.Status)
	}
}

func TestABadCookieIsNoCallerAndHarmsNoPublicRoute(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, value := range []string{"x", "a.b.c", s.token("org_a", keys.RoleOwner), s.link(owner), strings.Repeat("x", 5000)} {
		cookie := header{"Cookie", "lastseen_session=" + value}
		if r := s.do("GET", pathSession, "", nil, cookie); r.StatusCode != 401 {
			t.Errorf("%.20s: %s", value, r.Status)
		}
		s.get("/healthz", "", 200, cookie)
		s.get(console.Path, "", 200, cookie)
		s.get(pathSessionsList, s.token("org_a", keys.RoleOperator), 200, cookie)
	}
}

func TestPagesAreServedToBrowsers(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, file := range console.Files() {
		r := s.get(file.Path, "", 200)
		for name, want := range map[string]string{
			"Content-Type": file.ContentType, "Etag": file.ETag, "Cache-Control": file.CacheControl,
			"Content-Security-Policy": console.ContentSecurityPolicy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", file.Path, name, got, want)
			}
		}
		if string(r.body) != string(file.Body) {
			t.Errorf("%s has another body", file.Path)
		}
		if same := s.get(file.Path, "", 304, header{"If-None-Match", `"x", W/` + file.ETag}); len(same.body) != 0 {
			t.Errorf("%s: a 304 with a body", file.Path)
		}
	}
	s.get("/console/nothing.js", "", 404)
	s.get("/console/../signin.go", "", 404)
	b := s.browser()
	if r := b.send("GET", "/", "", header{"Accept", "text/html,*/*"}); r.StatusCode != 303 || r.Header.Get("Location") != console.Path {
		t.Errorf("a browser at / gets %s to %q", r.Status, r.Header.Get("Location"))
	}
	s.get("/", "", 200)
}

// withProvider is a service that signs people in at a real provider, reached by browsers at its address.
func withProvider(t *testing.T, users ...oidctest.User) (*service, *oidctest.Provider) {
	t.Helper()
	const public = "http://console.test"
	at := oidctest.Start(t, public+pathCallback, users...)
	provider, err := oidc.New(oidc.Config{
		IssuerURL: at.URL, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, RedirectURL: public + pathCallback,
		Timeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	return start(t, func(s *setup) { s.services.Provider, s.config.PublicURL = provider, public }), at
}

func TestABrowserSignsInAtTheProvider(t *testing.T) {
	t.Parallel()
	s, at := withProvider(t,
		oidctest.User{ID: "user_ana", Name: "ana", Claims: map[string]any{"org_id": "org_a", "org_role": "admin"}},
		oidctest.User{ID: "user_bob", Name: "bob"},
	)
	if r := s.get(pathOptions, "", 200); string(r.body) != `{"provider":true}` {
		t.Errorf("the options are %s", r.body)
	}
	begin := func(b *browser) string {
		t.Helper()
		r := b.send("GET", pathLogin+"?return_to="+url.QueryEscape("/console/#/org_a/settings"), "")
		cookie := r.Header.Get("Set-Cookie")
		if r.StatusCode != 303 || !strings.Contains(cookie, "SameSite=Lax") || !strings.Contains(cookie, "HttpOnly") {
			t.Fatalf("%s with the cookie %q", r.Status, cookie)
		}
		return r.Header.Get("Location")
	}
	back := func(b *browser, parameters url.Values) string {
		t.Helper()
		r := b.send("GET", pathCallback+"?"+parameters.Encode(), "", header{"Sec-Fetch-Site", "cross-site"})
		if r.StatusCode != 303 {
			t.Fatalf("%s: %s", r.Status, r.body)
		}
		return r.Header.Get("Location")
	}
	failed := func(reason string) string { return "/console/#sign-in-failed:" + reason }

	b := s.browser()
	parameters := at.SignIn(t, begin(b), "ana")
	if got := back(b, parameters); got != "/console/#/org_a/settings" {
		t.Errorf("it leads to %q", got)
	}
	if view := object(t, b.send("GET", pathSession, "")); view["user_id"] != "user_ana" || view["role"] != "administrator" || view["provider"] != true {
		t.Errorf("the session is %v", view)
	}
	if got := back(b, parameters); got != failed("expired") {
		t.Errorf("the same answer again leads to %q", got)
	}

	b = s.browser()
	begin(b)
	if got := back(b, parameters); got != failed("expired") {
		t.Errorf("another flow's answer leads to %q", got)
	}
	if got := back(s.browser(), at.SignIn(t, begin(s.browser()), "ana")); got != failed("expired") {
		t.Errorf("an answer in another browser leads to %q", got)
	}
	b = s.browser()
	if got := back(b, at.SignIn(t, begin(b), "bob")); got != failed("no-organisation") {
		t.Errorf("somebody without an organisation is led to %q", got)
	}
	b = s.browser()
	parameters = at.SignIn(t, begin(b), "ana")
	parameters.Set("code", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl") // codes may look like tokens
	if got := back(b, parameters); got != failed("refused") {
		t.Errorf("another code leads to %q", got)
	}
	b = s.browser()
	state := at.SignIn(t, begin(b), "ana").Get("state")
	if got := back(b, url.Values{"error": {"access_denied"}, "state": {state}}); got != failed("denied") {
		t.Errorf("a refusal of the provider leads to %q", got)
	}
	b = s.browser()
	parameters = at.SignIn(t, begin(b), "ana")
	at.Gate(oidctest.Down)
	if got := back(b, parameters); got != failed("unavailable") {
		t.Errorf("with the provider down it leads to %q", got)
	}
	if r := b.send("GET", pathSession, ""); r.StatusCode != 401 {
		t.Errorf("somebody who could not sign in has a session: %s", r.Status)
	}
	if log := s.log.String(); strings.Contains(log, parameters.Get("code")) || strings.Contains(log, state) {
		t.Error("the log holds a code or a state")
	}
}

func TestCookiesAreForTLSOnlyWhenBrowsersUseIt(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *setup) { s.config.PublicURL = "https://console.test" })
	b := s.browser()
	r := b.send("POST", pathLink, `{"token":"`+s.link(owner)+`"}`)
	cookie := r.Header.Get("Set-Cookie")
	for _, part := range []string{"__Host-lastseen_session=", "; secure", "; path=/", "; HttpOnly"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie lacks %q: %s", part, cookie)
		}
	}
	if strings.Contains(strings.ToLower(cookie), "domain=") {
		t.Errorf("the cookie names a domain: %s", cookie)
	}
	value, _, _ := strings.Cut(strings.TrimPrefix(cookie, "__Host-lastseen_session="), ";")
	s.get(pathSession, "", 200, header{"Cookie", "__Host-lastseen_session=" + value})
	if r := s.do("GET", pathSession, "", nil, header{"Cookie", "lastseen_session=" + value}); r.StatusCode != 401 {
		t.Errorf("a cookie that any page of the domain could have set: %s", r.Status)
	}
	csrf := object(t, r)["csrf_token"].(string)
	r = s.do("POST", pathSignOut, "", nil, header{"Cookie", "__Host-lastseen_session=" + value}, header{"X-CSRF-Token", csrf}, header{"Origin", "https://console.test"})
	if r.StatusCode != 200 {
		t.Errorf("our page behind a proxy that changes the host: %s: %s", r.Status, r.body)
	}
}
