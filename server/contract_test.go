package server

import (
	"hash/crc32"
	"net/http"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema"
)

const (
	plainChallenge   = `Bearer realm="lastseen"`
	invalidChallenge = `Bearer realm="lastseen", error="invalid_token"`
)

// TestWhoIsCalling is the table of section 1 of docs/api.md.
func TestWhoIsCalling(t *testing.T) {
	t.Parallel()
	s := start(t)
	live, _ := s.key("org_a", schema.KindAPIKey)
	revoked, revokedID := s.key("org_a", schema.KindAPIKey)
	admin := s.token("org_a", keys.RoleAdministrator)
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+revokedID.String(), admin, "", 200)
	mistyped := live[:len(live)-1] + flip(live[len(live)-1])
	expired := expiredToken(s)
	forged := s.token("org_a", keys.RoleOwner)
	forged = forged[:len(forged)-6] + "AAAAAA"
	read := pathSessionsGet + "?session_id=0123456789abcdef01234567"
	for _, test := range []struct {
		name, method, target, authorization string
		status                              int
		challenge, says                     string
	}{
		{"no credential", "GET", read, "", 401, plainChallenge, "Authorization"},
		{"an empty credential", "GET", read, "Bearer ", 401, plainChallenge, ""},
		{"only a scheme", "GET", read, "Bearer", 401, plainChallenge, ""},
		{"another scheme", "GET", read, "Basic " + live, 401, plainChallenge, ""},
		{"a key without a scheme", "GET", read, live, 401, plainChallenge, ""},
		{"neither a key nor a token", "GET", read, "Bearer open-sesame", 401, plainChallenge, ""},
		{"a malformed key", "GET", read, "Bearer ak_short", 401, invalidChallenge, "invalid"},
		{"a mistyped key", "GET", read, "Bearer " + mistyped, 401, invalidChallenge, "invalid"},
		{"an unknown key", "GET", read, "Bearer " + unknownKey(), 401, invalidChallenge, "invalid"},
		{"a revoked key", "GET", read, "Bearer " + revoked, 401, invalidChallenge, "revoked"},
		{"an expired token", "GET", read, "Bearer " + expired, 401, invalidChallenge, "expired"},
		{"a forged token", "GET", read, "Bearer " + forged, 401, invalidChallenge, "invalid"},
		{"a token without a signature", "GET", read, "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", 401, invalidChallenge, "invalid"},
		{"a live key", "GET", read, "Bearer " + live, 404, "", "session"},
		{"a scheme in lower case", "GET", read, "bearer " + live, 404, "", "session"},
		{"a scheme in capitals", "GET", read, "BEARER   " + live + " ", 404, "", "session"},
		{"a live key on a route for people", "GET", pathAPIKeys + "/list/v1", "Bearer " + live, 403, "", "does not support API key authentication"},
		{"a live key on ingest", "POST", pathIngest, "Bearer " + live, 403, "", "does not support API key authentication"},
		{"a live key on a public route", "GET", pathLastSeenPublic + "?session_id=x", "Bearer " + live, 403, "", "does not support API key authentication"},
		{"a live key on a probe", "GET", "/healthz", "Bearer " + live, 403, "", "does not support API key authentication"},
		{"a live key on a path that does not exist", "GET", "/tracking/nothing/v1", "Bearer " + live, 403, "", "does not support API key authentication"},
		{"a live key with another method than the route's", "POST", pathSessionsGet, "Bearer " + live, 405, "", "GET, HEAD"},
		{"a live key with a method of a path for people", "DELETE", pathAPIKeys + "/list/v1", "Bearer " + live, 403, "", "does not support API key authentication"},
		{"a revoked key on a path that does not exist", "GET", "/tracking/nothing/v1", "Bearer " + revoked, 401, invalidChallenge, "revoked"},
		{"a malformed key on a public route", "GET", pathLastSeenPublic + "?session_id=x", "Bearer ak_short", 401, invalidChallenge, "invalid"},
		{"nobody on a path that does not exist", "GET", "/tracking/nothing/v1", "", 404, "", "route"},
		{"nobody on a path with a slash too many", "GET", pathLastSeen + "/", "", 404, "", "route"},
		{"nobody with another method", "PUT", pathIngest, "", 405, "", "POST"},
		{"a person on a path that does not exist", "GET", "/x", "Bearer " + admin, 404, "", "route"},
		{"a driver on a read route", "GET", read, "Bearer " + s.token("org_a", keys.RoleDriver), 403, "", "role"},
		{"an operator on a route for administrators", "GET", pathAPIKeys + "/list/v1", "Bearer " + s.token("org_a", keys.RoleOperator), 403, "", "role"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := s.do(test.method, test.target, "", nil, header{"Authorization", test.authorization})
			if r.StatusCode != test.status {
				t.Fatalf("%s, want %d: %s", r.Status, test.status, r.body)
			}
			p := r.problem(t)
			if got := r.Header.Get("WWW-Authenticate"); got != test.challenge {
				t.Errorf("WWW-Authenticate is %q, want %q", got, test.challenge)
			}
			if !strings.Contains(p.Detail, test.says) {
				t.Errorf("the answer says %q, want it to say %q", p.Detail, test.says)
			}
			if allow := r.Header.Get("Allow"); (test.status == 405) != (allow != "") {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
	t.Run("two Authorization headers", func(t *testing.T) {
		request, _ := http.NewRequest("GET", "http://"+s.address+read, nil)
		request.Header["Authorization"] = []string{"Bearer " + live, "Bearer " + admin}
		response, err := s.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != 401 {
			t.Errorf("%s, want 401", response.Status)
		}
	})
}

// flip returns another base62 digit than c.
func flip(c byte) string {
	if c == 'x' {
		return "y"
	}
	return "x"
}

// unknownKey returns a well-formed key that nobody has made.
func unknownKey() string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	text := "ak_" + strings.Repeat("7", 43)
	var sum [6]byte
	for i, rest := len(sum)-1, crc32.ChecksumIEEE([]byte(text)); i >= 0; i-- {
		sum[i] = digits[rest%62]
		rest /= 62
	}
	return text + string(sum[:])
}

// expiredToken returns a token that was good an hour ago.
func expiredToken(s *service) string {
	s.Helper()
	issuer, err := people.OpenIssuer(s.dataDir, func() time.Time { return time.Now().Add(-time.Hour) })
	if err != nil {
		s.Fatal(err)
	}
	token, err := issuer.Sign(people.User{ID: "user_late", OrgID: "org_a", Role: keys.RoleOwner}, time.Minute)
	if err != nil {
		s.Fatal(err)
	}
	return token
}
