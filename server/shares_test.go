package server

import (
	"net/http"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/limit"
)

// TestOneOrganisationLeavesTheOthersTheirShare has one organisation take all that it can get of the places for
// requests that ask ClickHouse, and then others all that is left.
func TestOneOrganisationLeavesTheOthersTheirShare(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.Queries, with.config.QueueWait = 4, 50*time.Millisecond })
	_, id := s.key("org_a", schema.KindAPIKey)
	admin := s.token("org_a", keys.RoleAdministrator)
	fill := func(owner string) (entered int) {
		for {
			place, err := s.queries.TryEnter(limit.Request{Owner: owner, Weight: 1})
			if err != nil {
				return entered
			}
			t.Cleanup(place.Leave)
			entered++
		}
	}
	if n := fill("org_greedy"); n != 1 {
		t.Errorf("one organisation gets %d of 4 places", n)
	}
	s.get(pathAPIKeys+"/list/v1", admin, http.StatusOK)
	for _, other := range []string{"org_b", "org_c", "org_d"} {
		fill(other)
	}
	s.get(pathAPIKeys+"/list/v1", admin, http.StatusServiceUnavailable)
	s.post("/orgs/api_keys/revoke/v1?api_key_id="+id.String(), admin, "", http.StatusOK)
}

// TestSlowReadersOfPublicHistoriesLeaveRoomToOthers has somebody at one address open all the histories that they may, and others
// all that may be open of one organisation's sessions.
func TestSlowReadersOfPublicHistoriesLeaveRoomToOthers(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) { with.config.Histories = 8 })
	public := func(org, mac string) string {
		session := s.session(org, mac)
		s.post(pathUpdateSession+"?session_id="+session, s.token(org, keys.RoleOperator), `{"public":true}`, http.StatusOK)
		return "?start_timestamp=2026-01-01T00:00:00Z&end_timestamp=2026-01-02T00:00:00Z&session_id=" + session
	}
	flooded, other := public("org_a", "00:00:00:00:15:01"), public("org_b", "00:00:00:00:15:02")
	fill := func(g *limit.Gate, r limit.Request) (entered int) {
		for {
			place, err := g.TryEnter(r)
			if err != nil {
				return entered
			}
			t.Cleanup(place.Leave)
			entered++
		}
	}
	if n := fill(s.Server.openOf, limit.Request{Owner: "org_a", Weight: 1}); n != 9 {
		t.Errorf("of one organisation's sessions %d histories are open without a credential, want 9", n)
	}
	s.get(pathPointsPublic+flooded, "", http.StatusTooManyRequests)
	s.get(pathPointsPublic+other, "", http.StatusOK)
	if n := fill(s.Server.open, limit.Request{From: "192.0.2.1/32", Weight: 1}); n != 12 {
		t.Errorf("one address has %d histories open without a credential, want 12", n)
	}
	s.get(pathPointsPublic+other, "", http.StatusOK)
	fill(s.Server.open, limit.Request{From: "192.0.2.2/32", Weight: 1})
	s.get(pathPointsPublic+other, "", http.StatusTooManyRequests)
	s.get(pathDataPoints+flooded, s.token("org_a", keys.RoleOperator), http.StatusOK)
}
