package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lastseen/keys"
	"lastseen/schema"
)

// reader is somebody who sees a history in their own way.
type reader struct{ name, path, credential string }

// TestACursorIsGoodForWhomItWasMade: the owner, an organisation that the session is shared with and the
// public see the same points, and yet none of them goes on from a cursor of another.
func TestACursorIsGoodForWhomItWasMade(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:07:03")
	s.ingest("org_a", points(session, 0, 5))
	owner := s.token("org_a", keys.RoleOwner)
	sharing := func(add, remove, public string) {
		s.post(pathSharedOrgs, owner, fmt.Sprintf(`{"session_id":%q,"add_org_ids":[%s],"remove_org_ids":[%s]}`, session, add, remove), 200)
		s.post(pathUpdateSession+"?session_id="+session, owner, `{"public":`+public+`}`, 200)
	}
	sharing(`"org_b"`, "", "true")
	own, _ := s.key("org_a", schema.KindAPIKey)
	shared, _ := s.key("org_b", schema.KindAPIKey)
	readers := []reader{{"the owner", pathDataPoints, own}, {"who it is shared with", pathDataPoints, shared}, {"the public", pathPointsPublic, ""}}
	day := "?session_id=" + session + "&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-16T00:00:00Z&limit=2"
	cursors := make(map[string][]string) // of each query, by reader
	for _, query := range []string{"", "&order=received", "&bucket_seconds=1"} {
		for _, r := range readers {
			cursors[query] = append(cursors[query], s.get(r.path+day+query, r.credential, 200).Header.Get("Next-Cursor"))
		}
		for from, cursor := range cursors[query] {
			for to, r := range readers {
				answer := s.do("GET", r.path+day+query+"&cursor="+cursor, r.credential, nil)
				switch {
				case from == to && (answer.StatusCode != 200 || fmt.Sprint(historyPoints(t, answer)) != "[00:02Z 00:03Z]"):
					t.Errorf("%q: %s goes on from the own cursor: %s %s", query, r.name, answer.Status, answer.body)
				case from != to && (answer.StatusCode != 422 || fmt.Sprint(answer.problem(t).Errors[0].Loc) != "[query cursor]"):
					t.Errorf("%q: %s goes on from a cursor of %s: %s %s", query, r.name, readers[from].name, answer.Status, answer.body)
				}
			}
		}
		colleague := s.token("org_a", keys.RoleOperator)
		s.get(pathDataPoints+day+query+"&cursor="+cursors[query][0], colleague, 200) // of the organisation, not of the key
	}
	sharing("", `"org_b"`, "false")
	for query, made := range cursors { // whoever may not see the session any more does not, with whatever cursor
		for i, r := range readers[1:] {
			for _, cursor := range append(slices.Clone(made), "x") {
				got := s.get(r.path+day+query+"&cursor="+cursor, r.credential, 404).problem(t)
				absent := strings.Replace(day, session, "0123456789abcdef01234567", 1)
				if none := s.get(r.path+absent+query+"&cursor="+cursor, r.credential, 404).problem(t); none.Detail != got.Detail {
					t.Errorf("%q, %s: %q, and of a session that is not there %q", query, readers[1+i].name, got.Detail, none.Detail)
				}
			}
		}
		s.get(pathDataPoints+day+query+"&cursor="+made[0], own, 200)
	}
}
