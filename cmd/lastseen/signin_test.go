package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"lastseen/keys/people/oidc/oidctest"
)

// TestPeopleSignInToTheBinary runs the real binary with the flags of an identity provider: the tokens
// and the browsers of the provider are let in, and so are those of the login command.
func TestPeopleSignInToTheBinary(t *testing.T) {
	t.Parallel()
	const public = "http://console.test"
	at := oidctest.Start(t, public+"/auth/callback", oidctest.User{
		ID: "user_ana", Name: "ana", Claims: map[string]any{"o": map[string]any{"id": "org_a", "rol": "admin"}},
	})
	dir := t.TempDir()
	s, err := startService(dir, "--public-url", public, "--oidc-issuer", at.URL, "--oidc-client-id", oidctest.ClientID,
		"--oidc-client-secret", oidctest.ClientSecret, "--oidc-audience", "api://lastseen,"+oidctest.ClientID,
		"--oidc-org-claim", "o.id", "--oidc-role-claim", "o.rol")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.terminate(); err != nil {
			t.Error(err)
		}
	}()

	bearer := at.Sign(t, map[string]any{
		"iss": at.URL, "aud": "api://lastseen", "sub": "user_ana", "exp": time.Now().Add(time.Hour).Unix(),
		"o": map[string]any{"id": "org_a", "rol": "admin"},
	})
	if key, _ := s.newKey(t, bearer, "made with a provider's token"); !strings.HasPrefix(key, "ak_") {
		t.Errorf("the key is %q", key)
	}

	client := newBrowser(t)
	begun := client.send(t, "GET", s.base+"/auth/login", "")
	back := at.SignIn(t, begun.Header.Get("Location"), "ana")
	client.send(t, "GET", s.base+"/auth/callback?"+back.Encode(), "")
	if r := client.send(t, "GET", s.base+"/auth/session/v1", ""); r.StatusCode != 200 || !strings.Contains(r.body, `"user_id":"user_ana","org_id":"org_a","role":"administrator"`) {
		t.Errorf("after signing in at the provider: %s: %s", r.Status, r.body)
	}

	stdout, stderr, code := command(t, nil, "login", "--data-dir", dir, "--server", s.base, "--org", "org_b", "--user", "user_bo", "--role", "owner")
	address, token, found := strings.Cut(strings.TrimSpace(stdout), "#")
	if code != 0 || stderr != "" || !found || address != s.base+"/auth/link" {
		t.Fatalf("login: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	client = newBrowser(t)
	for _, want := range []int{200, 401} {
		if r := client.send(t, "POST", s.base+"/auth/link/v1", fmt.Sprintf(`{"token":%q}`, token)); r.StatusCode != want {
			t.Errorf("the link answers %s, want %d: %s", r.Status, want, r.body)
		}
	}
	if r := client.send(t, "GET", s.base+"/orgs/api_keys/list/v1", ""); r.StatusCode != 200 || r.body != "[]" {
		t.Errorf("after signing in by the link: %s: %s", r.Status, r.body)
	}
}

// browser keeps cookies and follows no redirect.
type browser struct{ http.Client }

type page struct {
	*http.Response
	body string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{http.Client{
		Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (b *browser) send(t *testing.T, method, address, body string) page {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := b.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return page{response, string(content)}
}
