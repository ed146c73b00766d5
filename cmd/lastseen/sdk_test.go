package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"lastseen/keys"
)

// TestAGeneratedClientIsUnderstood sends what clients generated from the reference service's API
// description send: the headers that they set and parameters percent-encoded as they encode them,
// with nothing but the base address changed.
func TestAGeneratedClientIsUnderstood(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	token := s.token(t, "org_sdk", keys.RoleOwner)
	key, _ := s.newKey(t, token, "sdk")
	session := s.newSession(t, token, "00:1B:44:11:3A:B7")
	s.post(t, "/tracking/timeseries/session_by_device/ingest/v1", nil, token,
		`{"points":[{"session_id":"`+session+`","timestamp":"2026-01-15T09:30:00Z","latitude":40.7484,"longitude":-73.9857,"temperature":4.5}]}`, new(any))
	const point = `"location":{"type":"Feature","geometry":{"type":"Point","coordinates":[-73.9857,40.7484]},"properties":{}}`
	for name, test := range map[string]struct{ target, want string }{
		"last_seen": {"/tracking/timeseries/session_by_device/last_seen/v1?session_id=" + session, point},
		"data_points with an offset": {"/tracking/timeseries/session_by_device/data_points/v1?session_id=" + session +
			"&start_timestamp=2026-01-15T09%3A00%3A00%2B00%3A00&end_timestamp=2026-01-15T12%3A00%3A00.000000%2B01%3A00&bucket_seconds=60", point},
		"data_points with Z": {"/tracking/timeseries/session_by_device/data_points/v1?session_id=" + session +
			"&start_timestamp=2026-01-15T09%3A30%3A00.000Z&end_timestamp=2026-01-15T09%3A30%3A00.001Z", `"stationary_clusters":[]`},
		"sessions list": {"/tracking/sessions/list/v1?sort_by=created_at_timestamp&sort_order=desc&page=1&page_size=50&search=00%3A1B&org_scope=owned_and_shared" +
			"&filter_terminated=false&filter_created_at_timestamp_gte=2020-01-01T00%3A00%3A00%2B00%3A00", `"device_mac_address":"00:1B:44:11:3A:B7"`},
		"sessions get":       {"/tracking/sessions/get/v1?session_id=" + session, `"_id":"` + session + `"`},
		"sessions typeahead": {"/tracking/sessions/typeahead/v1?query=00%3A1b&limit=10&org_scope=owned", `"values":["00:1B:44:11:3A:B7"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+test.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{
				"Authorization": {"Bearer " + key}, "Accept": {"application/json"}, "User-Agent": {"OpenAPI-Generator/1.0.0/python"},
				"Accept-Encoding": {"identity"}, "X-Request-Timeout": {"30"},
			}
			response, err := requests.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), test.want) {
				t.Errorf("%d %s %v, want %s in it", response.StatusCode, body, err, test.want)
			}
			if got := response.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
	t.Run("a key's other routes are refused as documented", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/orgs/api_keys/list/v1", "/tracking/devices/list/v1"} {
			status, body, err := s.do(t.Context(), http.MethodGet, path, url.Values{}, key, "")
			if err != nil || status != http.StatusForbidden || !strings.Contains(string(body), "API key") {
				t.Errorf("%s: %d %s %v", path, status, body, err)
			}
		}
	})
}
