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
