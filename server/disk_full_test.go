package server

import (
	"strings"
	"testing"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/schema/schematest"
	"lastseen/server/problem"
)

func TestAFullDiskRefusesPointsAndNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.session("org_a", "00:00:00:00:d1:5c")
	s.ingest("org_a", point(session, 1))
	reserve := func(bytes int64) {
		db, err := schematest.Connected(t.Context(), t, schema.Options{Database: s.db.Database(), DiskReserve: bytes})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	reader, id := s.key("org_a", schema.KindAPIKey)
	owner := s.token("org_a", keys.RoleOwner)
	target := pathLastSeen + "?session_id=" + session

	reserve(1 << 60)
	refused := s.post(pathIngest, owner, point(session, 2), 503, header{"Content-Type", "application/x-ndjson"})
	if p := refused.problem(t); refused.Header.Get("Retry-After") != "30" || !strings.Contains(p.Detail, "disk") {
		t.Errorf("points on a full disk are answered %s, Retry-After %q", refused.body, refused.Header.Get("Retry-After"))
	}
	if seen := s.get(target, reader, 200); !strings.Contains(string(seen.body), "2026-01-15T00:00:01") {
		t.Errorf("after a refusal last_seen says %s", seen.body)
	}
	s.session("org_a", "00:00:00:00:d1:5d")
	s.post(pathAPIKeys+"/revoke/v1?api_key_id="+id.String(), owner, "", 200)
	s.get(target, reader, 401)

	reserve(0)
	s.ingest("org_a", point(session, 2))
	if s.Stats().Refused[problem.ReasonDiskFull] != 1 {
		t.Errorf("%d refusals for a full disk are counted, want 1", s.Stats().Refused[problem.ReasonDiskFull])
	}
}
