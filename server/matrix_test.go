package server

import (
	"strings"
	"testing"

	"lastseen/keys"
	"lastseen/schema"
)

// TestEveryRouteByEveryKindOfCaller walks the matrix of authorize_test.go over HTTP: who is let in
// gets past 401 and 403, whatever the route then says of an empty request; who is not gets the
// refusal of the matrix, whatever the method.
func TestEveryRouteByEveryKindOfCaller(t *testing.T) {
	t.Parallel()
	s := start(t)
	key, _ := s.key("org_a", schema.KindAPIKey)
	device, _ := s.key("org_a", schema.KindDeviceCredential)
	credentials := map[string]string{
		"nobody": "", "API key": key, "device credential": device,
		"driver": s.token("org_a", keys.RoleDriver), "operator": s.token("org_a", keys.RoleOperator),
		"administrator": s.token("org_a", keys.RoleAdministrator), "owner": s.token("org_a", keys.RoleOwner),
	}
	for name, row := range matrix {
		method, path, _ := strings.Cut(name, " ")
		methods := []string{method}
		if method == "GET" {
			methods = append(methods, "HEAD")
		}
		for i, caller := range callers {
			for _, method := range methods {
				r := s.do(method, path, credentials[caller.name], nil)
				refused := r.StatusCode == 401 || r.StatusCode == 403
				if want := row[i]; refused && r.StatusCode != want || !refused && want != 0 {
					t.Errorf("%s %s by %s: %s, want %d", method, path, caller.name, r.Status, want)
				}
				if r.StatusCode == 404 && path != pathLastSeenPublic || r.StatusCode == 405 || r.StatusCode >= 500 {
					t.Errorf("%s %s by %s: %s: %s", method, path, caller.name, r.Status, r.body)
				}
				if method == "HEAD" && len(r.body) > 0 {
					t.Errorf("HEAD %s has a body", path)
				}
			}
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
