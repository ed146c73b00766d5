package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/apikey"
	"lastseen/schema"
)

// matrixWorld is what the rows of the matrix are about, by the words that stand for it.
func (s *service) matrixWorld() *strings.Replacer {
	s.Helper()
	admin := s.token("org_a", keys.RoleAdministrator)
	session, public, ended := s.session("org_a", "00:00:00:00:0e:01"), s.session("org_a", "00:00:00:00:0f:01"), s.session("org_a", "00:00:00:00:0f:02")
	s.ingest("org_a", point(session, 1)+point(public, 1))
	s.post(pathSharedOrgs, admin, `{"session_id":"`+session+`","add_org_ids":["org_b"]}`, 200)
	s.post(pathUpdateSession+"?session_id="+public, admin, `{"public":true}`, 200)
	s.post(pathTerminate+"?session_id="+ended, admin, "", 200)
	_, key := s.key("org_a", schema.KindAPIKey)
	_, credential := s.key("org_a", schema.KindDeviceCredential)
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+key.String(), admin, "", 200)
	s.post(pathDeviceCredentials+"/revoke/v1?device_credential_id="+credential.String(), admin, "", 200)
	return strings.NewReplacer(
		"SESSION", session, "PUBLIC", public, "ENDEDKEY", key.String(), "ENDEDCREDENTIAL", credential.String(), "ENDED", ended,
		"DEVICE", object(s, s.get(pathSessionsGet+"?session_id="+session, admin, 200))["device_id"].(string),
		"POINT", object(s, s.get(pathLastSeen+"?session_id="+session, admin, 200))["_id"].(string),
		"DAY", "start_timestamp=2026-01-01T00:00:00Z&end_timestamp=2026-02-01T00:00:00Z",
		"LATER", time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	)
}

// matrixCaller is a column of the matrix.
type matrixCaller struct{ name, credential string }

// matrixCallers are the columns of the matrix in order, and the callers who get 401 everywhere.
func (s *service) matrixCallers() (columns, bad []matrixCaller) {
	s.Helper()
	columns = append(columns, matrixCaller{"nobody", ""})
	for _, org := range []string{"org_a", "org_b", "org_c"} {
		text, _ := s.key(org, schema.KindAPIKey)
		columns = append(columns, matrixCaller{"an API key of " + org, text})
	}
	for _, org := range []string{"org_a", "org_c"} {
		text, _ := s.key(org, schema.KindDeviceCredential)
		columns = append(columns, matrixCaller{"a device credential of " + org, text})
	}
	for _, role := range []keys.Role{keys.RoleDriver, keys.RoleOperator, keys.RoleAdministrator, keys.RoleOwner} {
		for _, org := range []string{"org_a", "org_b", "org_c"} {
			columns = append(columns, matrixCaller{role.String() + " of " + org, s.token(org, role)})
		}
	}
	revoked, id := s.key("org_a", schema.KindAPIKey)
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), s.token("org_a", keys.RoleOwner), "", 200)
	earlier := apikey.NewService(apikey.ServiceConfig{DB: s.db, Channel: &apikey.LocalChannel{}, Now: func() time.Time { return time.Now().Add(-2 * time.Hour) }})
	_, expired, err := earlier.Create(context.Background(), &keys.Principal{OrgID: "org_a", UserID: "user_a"},
		apikey.NewKey{Kind: schema.KindAPIKey, Name: "old", ExpiresAt: time.Now().Add(-time.Hour)})
	if err != nil {
		s.Fatal(err)
	}
	return columns, []matrixCaller{
		{"a malformed key", "ak_x"}, {"an unknown key", unknownKey()}, {"an expired key", expired}, {"a revoked key", revoked},
	}
}

// TestEveryRouteByEveryKindOfCaller walks the matrix of matrix_table_test.go over HTTP.
func TestEveryRouteByEveryKindOfCaller(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	world := s.matrixWorld()
	columns, bad := s.matrixCallers()
	seen := map[string]bool{}
	for _, row := range matrixRows {
		text, mark := world.Replace(row.request), world.Replace(row.mark)
		method, rest, _ := strings.Cut(text, " ")
		target, body, _ := strings.Cut(rest, " ")
		path, _, _ := strings.Cut(target, "?")
		seen[method+" "+path] = true
		send := func(caller matrixCaller) reply {
			if method == "POST" {
				return s.do(method, target, caller.credential, strings.NewReader(body))
			}
			return s.do(method, target, caller.credential, nil)
		}
		cells := strings.Fields(strings.ReplaceAll(row.cells, "|", " "))
		if len(cells) != len(columns) {
			t.Fatalf("%s has %d cells, want %d", row.request, len(cells), len(columns))
		}
		for i, caller := range columns {
			r := send(caller)
			if status := strings.TrimRight(cells[i], "+-"); fmt.Sprint(r.StatusCode) != status {
				t.Errorf("%s by %s: %s, want %s: %s", row.request, caller.name, r.Status, status, r.body)
			} else if holds := strings.Contains(string(r.body), mark); strings.HasSuffix(cells[i], "+") && !holds || strings.HasSuffix(cells[i], "-") && holds {
				t.Errorf("%s by %s: the answer holds %s: %v: %s", row.request, caller.name, mark, holds, r.body)
			}
		}
		for _, caller := range bad {
			if r := send(caller); r.StatusCode != 401 {
				t.Errorf("%s by %s: %s, want 401: %s", row.request, caller.name, r.Status, r.body)
			}
		}
	}
	for _, r := range routes() {
		// A credential in an app's path has tests of its own: a row's callers have theirs in a header.
		if !isFile(&r) && !forApps(&r) && !seen[r.method+" "+r.path] {
			t.Errorf("%s %s is not in the matrix", r.method, r.path)
		}
	}
}

func TestHeadAnswersAsGetWithoutTheBody(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.token("org_a", keys.RoleOwner)
	for _, target := range []string{"/", "/healthz", pathSessionsList, pathTypeahead + "?query=x", pathAPIKeys + "/list/v1", pathLastSeen, "/nowhere"} {
		get, head := s.do("GET", target, token, nil), s.do("HEAD", target, token, nil)
		if get.StatusCode != head.StatusCode || len(head.body) != 0 {
			t.Errorf("%s: GET %s, HEAD %s with %d bytes", target, get.Status, head.Status, len(head.body))
		}
		for _, name := range []string{"Content-Type", "Cache-Control", "Content-Length"} {
			if name == "Content-Length" && get.StatusCode >= 400 {
				continue // the request id may have another length
			}
			if get.Header.Get(name) != head.Header.Get(name) {
				t.Errorf("%s: %s is %q for GET and %q for HEAD", target, name, get.Header.Get(name), head.Header.Get(name))
			}
		}
	}
}
