package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"lastseen/keys"
	"lastseen/schema"
)

// feedPage reads an answer of data_points_feed in JSON: whose points there are, each as session and minute, and the cursor.
func feedPage(tb testing.TB, r reply) (points []string, next string) {
	tb.Helper()
	var got struct {
		DataPoints []struct {
			Timestamp string
			Metadata  struct {
				Session string `json:"session_id"`
			}
		} `json:"data_points"`
		NextCursor string `json:"next_cursor"`
	}
	if err := json.Unmarshal(r.body, &got); err != nil || got.NextCursor == "" || got.NextCursor != r.Header.Get("Next-Cursor") {
		tb.Fatalf("%v: the header's cursor is %q, %s", err, r.Header.Get("Next-Cursor"), r.body)
	}
	for _, p := range got.DataPoints {
		points = append(points, p.Metadata.Session+" "+strings.TrimPrefix(p.Timestamp, "2026-01-15T00:"))
	}
	return points, got.NextCursor
}

// TestTheFeedOfAllSessionsIsTheCallersOwn follows what three organisations see of each other while points arrive and sharing
// begins and ends.
func TestTheFeedOfAllSessionsIsTheCallersOwn(t *testing.T) {
	t.Parallel()
	s := start(t)
	first, second := s.session("org_a", "00:00:00:00:08:01"), s.session("org_a", "00:00:00:00:08:02")
	foreign := s.session("org_b", "00:00:00:00:08:03")
	admin := s.token("org_a", keys.RoleAdministrator)
	credentials, cursors := map[string]string{}, map[string]string{}
	for _, org := range []string{"org_a", "org_b", "org_c"} {
		credentials[org], _ = s.key(org, schema.KindAPIKey)
	}
	seen := func(org, scope string, want ...string) {
		t.Helper()
		query := url.Values{"org_scope": {scope}, "limit": {"100"}}
		if scope == "" {
			query.Del("org_scope")
		}
		if cursor := cursors[org+scope]; cursor != "" {
			query.Set("cursor", cursor)
		}
		points, next := feedPage(t, s.get(pathFeed+"?"+query.Encode(), credentials[org], 200))
		cursors[org+scope] = next
		slices.Sort(want)
		slices.Sort(points)
		if !slices.Equal(points, want) {
			t.Errorf("%s, scope %q, is given %v, want %v", org, scope, points, want)
		}
	}
	s.ingest("org_a", point(first, 60)+point(second, 0))
	s.ingest("org_b", point(foreign, 0))
	seen("org_a", "", first+" 01:00Z", second+" 00:00Z")
	seen("org_b", "", foreign+" 00:00Z")
	seen("org_b", "shared")
	seen("org_b", "owned_and_shared", foreign+" 00:00Z")
	seen("org_c", "")
	s.post(pathSharedOrgs, admin, fmt.Sprintf(`{"session_id":%q,"add_org_ids":["org_b"]}`, first), 200)
	s.ingest("org_a", point(first, 0)+point(second, 30)) // late
	seen("org_a", "", first+" 00:00Z", second+" 00:30Z")
	seen("org_b", "shared", first+" 00:00Z") // what had arrived before it was shared is behind the cursor
	seen("org_b", "owned_and_shared", first+" 00:00Z")
	seen("org_b", "")
	seen("org_c", "owned_and_shared")
	s.post(pathSharedOrgs, admin, fmt.Sprintf(`{"session_id":%q,"remove_org_ids":["org_b"]}`, first), 200)
	s.ingest("org_a", point(first, 90))
	seen("org_a", "", first+" 01:30Z")
	seen("org_a", "")
	seen("org_b", "shared")
	seen("org_b", "owned_and_shared")

	answer := s.get(pathFeed+"?org_scope=shared&cursor="+cursors["org_a"], credentials["org_a"], 422)
	if loc := answer.problem(t).Errors[0].Loc; fmt.Sprint(loc) != "[query cursor]" {
		t.Errorf("a cursor of another scope: %v", loc)
	}
	s.get(pathFeed+"?cursor="+cursors["org_a"], credentials["org_b"], 422)
	s.get(pathFeed+"?format=csv&limit=1&cursor="+cursors["org_a"], s.token("org_a", keys.RoleOperator), 200)
	if points, _ := feedPage(t, s.get(pathFeed+"?received_after=2100-01-01T00:00:00Z", credentials["org_a"], 200)); points != nil {
		t.Errorf("after the year 2100 there are %v", points)
	}
}

// TestAFeedOfAllSessionsEndsWithTheRightToIt: the rest of an answer is not sent to a caller whose key was revoked
// meanwhile, nor to one with whom a session of it is no longer shared.
func TestAFeedOfAllSessionsEndsWithTheRightToIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	target := s.long(200_000)
	session, _, _ := strings.Cut(strings.TrimPrefix(target, pathDataPoints+"?session_id="), "&")
	admin := s.token("org_a", keys.RoleAdministrator)
	s.post(pathSharedOrgs, admin, fmt.Sprintf(`{"session_id":%q,"add_org_ids":["org_b"]}`, session), 200)
	revoked, id := s.key("org_a", schema.KindAPIKey)
	other, _ := s.key("org_b", schema.KindAPIKey)
	for name, test := range map[string]struct {
		query, key string
		end        func()
	}{
		"revoked": {"", revoked, func() {
			s.post("/orgs/api_keys/revoke/v1?api_key_id="+id.String(), admin, "", 200)
		}},
		"shared no more": {"?org_scope=shared", other, func() {
			s.post(pathSharedOrgs, admin, fmt.Sprintf(`{"session_id":%q,"remove_org_ids":["org_b"]}`, session), 200)
		}},
	} {
		c := dial(t, s.address)
		fmt.Fprintf(c, "GET %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", pathFeed, test.query, test.key)
		head := make([]byte, 1<<10)
		if _, err := io.ReadFull(c, head); err != nil || !strings.HasPrefix(string(head), "HTTP/1.1 200") {
			t.Fatalf("%s: %v, %.200s", name, err, head)
		}
		test.end()
		rest, _ := io.ReadAll(c)
		if strings.HasSuffix(string(rest), "\r\n0\r\n\r\n") {
			t.Errorf("%s: the whole answer was sent, %d bytes", name, len(rest))
		}
	}
}
