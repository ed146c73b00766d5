package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/query/changes"
	"lastseen/query/latest"
	"lastseen/schema"
)

// changesPage is an answer of last_seen_changes as a client reads it.
type changesPage struct {
	DataPoints []struct {
		Timestamp string `json:"timestamp"`
		Metadata  struct {
			SessionID string `json:"session_id"`
		} `json:"metadata"`
	} `json:"data_points"`
	Gone       []string `json:"gone"`
	NextCursor string   `json:"next_cursor"`
	More       bool     `json:"more"`
	Reset      bool     `json:"reset"`
}

func (p *changesPage) sessions() (ids []string) {
	for _, point := range p.DataPoints {
		ids = append(ids, point.Metadata.SessionID)
	}
	slices.Sort(ids)
	return ids
}

func (s *service) changesOf(r reply) (p changesPage) {
	s.Helper()
	if err := json.Unmarshal(r.body, &p); err != nil {
		s.Fatalf("%v: %s", err, r.body)
	}
	return p
}

// changes asks for a page.
func (s *service) changes(key, query string) changesPage {
	s.Helper()
	return s.changesOf(s.get(pathLastSeenChanges+"?"+query, key, 200))
}

func wantSessions(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: the sessions are %v, want %v", what, got, want)
	}
}

func TestLastSeenChanges(t *testing.T) {
	t.Parallel()
	s := start(t)
	owner := s.token("org_a", keys.RoleOwner)
	first, second, empty := s.session("org_a", "00:00:00:00:0c:01"), s.session("org_a", "00:00:00:00:0c:02"), s.session("org_a", "00:00:00:00:0c:03")
	foreign := s.session("org_b", "00:00:00:00:0c:04")
	s.ingest("org_a", point(first, 1)+point(second, 1))
	s.ingest("org_b", point(foreign, 1))
	key, _ := s.key("org_a", schema.KindAPIKey)
	other, _ := s.key("org_b", schema.KindAPIKey)

	t.Run("begins with every session that has a point, in pages", func(t *testing.T) {
		page := s.changes(key, "limit=1")
		if len(page.DataPoints) != 1 || !page.More || page.Reset {
			t.Errorf("%+v", page)
		}
		rest := s.changes(key, "limit=1&cursor="+page.NextCursor)
		wantSessions(t, "both pages", append(page.sessions(), rest.sessions()...), first, second)
		if rest.More {
			t.Errorf("there is more: %+v", rest)
		}
	})
	t.Run("gives each session that has changed once", func(t *testing.T) {
		begun := s.changes(key, "")
		wantSessions(t, "at first", begun.sessions(), first, second)
		s.ingest("org_a", point(second, 2)+point(second, 3)+point(first, 0))
		s.ingest("org_a", point(second, 4)+point(empty, 1))
		page := s.changes(key, "cursor="+begun.NextCursor)
		wantSessions(t, "then", page.sessions(), second, empty)
		for _, p := range page.DataPoints {
			if p.Metadata.SessionID == second && p.Timestamp != "2026-01-15T00:00:04Z" {
				t.Errorf("the point is of %s", p.Timestamp)
			}
		}
		if page = s.changes(key, "cursor="+page.NextCursor); len(page.DataPoints) > 0 || page.More {
			t.Errorf("nothing has changed: %+v", page)
		}
	})
	t.Run("says what is gone", func(t *testing.T) {
		shared := s.session("org_b", "00:00:00:00:0c:05")
		s.ingest("org_b", point(shared, 1))
		share := func(change string) {
			s.post(pathSharedOrgs, s.token("org_b", keys.RoleOwner), fmt.Sprintf(`{"session_id":%q,%q:["org_a"]}`, shared, change), 200)
		}
		before := s.changes(key, "")
		share("add_org_ids")
		page := s.changes(key, "cursor="+before.NextCursor)
		wantSessions(t, "when it is shared", page.sessions(), shared)
		share("remove_org_ids")
		s.post(pathTerminate+"?session_id="+empty, owner, "", 200)
		page = s.changes(key, "cursor="+page.NextCursor)
		slices.Sort(page.Gone)
		want := []string{shared, empty}
		if slices.Sort(want); !slices.Equal(page.Gone, want) || len(page.DataPoints) > 0 {
			t.Errorf("%+v, want %v gone", page, want)
		}
		if begun := s.changes(key, ""); len(begun.Gone) > 0 {
			t.Errorf("who begins hears of what it never had: %v", begun.Gone)
		}
	})
	t.Run("does not say whose a session is that is not the caller's", func(t *testing.T) {
		if page := s.changes(other, ""); slices.Contains(page.sessions(), first) {
			t.Errorf("%+v", page)
		}
		nobodys, _ := s.key("org_nobody", schema.KindAPIKey)
		if page := s.changes(nobodys, ""); len(page.DataPoints) > 0 || page.NextCursor == "" {
			t.Errorf("%+v", page)
		}
	})
	t.Run("refuses cursors that are not its own", func(t *testing.T) {
		good := s.changes(key, "").NextCursor
		changed := []byte(good)
		changed[20] ^= 1
		for name, query := range map[string]string{
			"of another organisation": "cursor=" + s.changes(other, "").NextCursor, "of another scope": "org_scope=owned&cursor=" + good,
			"that was changed": "cursor=" + string(changed), "that is short": "cursor=" + good[:40], "that is none": "cursor=x", "that is empty": "cursor=",
		} {
			if r := s.get(pathLastSeenChanges+"?"+query, key, 422); !strings.Contains(string(r.body), `"cursor"`) {
				t.Errorf("a cursor %s: %s", name, r.body)
			}
		}
		for _, query := range []string{"limit=0", "limit=10001", "limit=x", "org_scope=all"} {
			s.get(pathLastSeenChanges+"?"+query, key, 422)
		}
	})
	t.Run("starts over from a cursor of before a restart", func(t *testing.T) {
		cursor := s.changes(key, "").NextCursor
		if err := s.Server.services.LastSeen.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		table := latest.New(s.db, time.Now)
		if err := s.db.EachSession(t.Context(), table.PutSession); err != nil {
			t.Fatal(err)
		}
		if err := table.Load(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		s.Server.services.Changes = changes.New(table, s.issuer.DeriveKey("changes cursors"))
		page := s.changes(key, "cursor="+cursor)
		if wantSessions(t, "after it", page.sessions(), first, second); !page.Reset {
			t.Errorf("it does not say so: %+v", page)
		}
	})
}

func TestLastSeenChangesWaits(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:0c:11")
	foreign := s.session("org_b", "00:00:00:00:0c:12")
	s.ingest("org_a", point(session, 1))
	key, id := s.key("org_a", schema.KindAPIKey)
	target := pathLastSeenChanges + "?cursor=" + s.changes(key, "").NextCursor

	waits := s.longPoll(target, key, "")
	s.ingest("org_b", point(foreign, 1))
	select {
	case r := <-waits:
		t.Fatalf("answered without a change: %s", r.body)
	default:
	}
	s.ingest("org_a", point(session, 2))
	page := s.changesOf(s.answers(waits, 200, session))
	target = pathLastSeenChanges + "?cursor=" + page.NextCursor

	began := time.Now()
	if r := s.get(target, key, 200, header{"Prefer", "wait=1"}); r.Header.Get("Preference-Applied") != "wait=1" || !strings.Contains(string(r.body), `"data_points":[]`) {
		t.Errorf("%v %s", r.Header, r.body)
	}
	if waited := time.Since(began); waited < 900*time.Millisecond {
		t.Errorf("an empty answer after %v", waited)
	}

	waits = s.longPoll(target, key, "")
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), s.token("org_a", keys.RoleOwner), "", 200)
	revoked := time.Now()
	s.answers(waits, 401, "revoked")
	if took := time.Since(revoked); took > 3*time.Second {
		t.Errorf("the wait goes on for %v after the revocation", took)
	}
}
