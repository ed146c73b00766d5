package server

import (
	"slices"
	"strings"
	"testing"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/problem"
)

func TestBadParametersAreAllNamed(t *testing.T) {
	t.Parallel()
	s := start(t)
	key, _ := s.key("org_a", schema.KindAPIKey)
	id := "session_id=0123456789abcdef01234567"
	good := "&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-16T00:00:00Z"
	for _, test := range []struct {
		target string
		bad    []string
	}{
		{pathLastSeen, []string{"session_id"}},
		{pathLastSeen + "?session_id=", []string{"session_id"}},
		{pathSessionsGet, []string{"session_id"}},
		{pathDataPoints, []string{"session_id", "start_timestamp", "end_timestamp"}},
		{pathDataPoints + "?" + id + "&start_timestamp=yesterday&end_timestamp=NaN", []string{"start_timestamp", "end_timestamp"}},
		{pathDataPoints + "?" + id + "&start_timestamp=2026-01-16T00:00:00Z&end_timestamp=2026-01-15T00:00:00Z", []string{"start_timestamp"}},
		{pathDataPoints + "?" + id + "&start_timestamp=2026-01-15T00:00:00Z&end_timestamp=2026-01-15T00:00:00Z", []string{"start_timestamp"}},
		{pathDataPoints + "?" + id + "&start_timestamp=0001-01-01T00:00:00Z&end_timestamp=9999-12-31T00:00:00Z", []string{"start_timestamp", "end_timestamp"}},
		{pathDataPoints + "?" + id + good + "&bucket_seconds=0", []string{"bucket_seconds"}},
		{pathDataPoints + "?" + id + good + "&bucket_seconds=604801", []string{"bucket_seconds"}},
		{pathDataPoints + "?" + id + good + "&bucket_seconds=1.5", []string{"bucket_seconds"}},
		{pathSessionsList + "?sort_by=name&sort_order=up&org_scope=all&page=0&page_size=1001&filter_terminated=perhaps",
			[]string{"sort_by", "sort_order", "page", "page_size", "org_scope", "filter_terminated"}},
		{pathSessionsList + "?filter_created_at_timestamp_gte=x&filter_terminated_at_timestamp_lte=", []string{"filter_created_at_timestamp_gte", "filter_terminated_at_timestamp_lte"}},
		{pathFeed + "?org_scope=all&limit=0&cursor=&received_after=soon&format=xml&compression=zip", []string{"org_scope", "limit", "cursor", "received_after", "format", "compression"}},
		{pathFeed + "?limit=1000001", []string{"limit"}},
		{pathFeed + "?cursor=garbage", []string{"cursor"}},
		{pathFeed + "?compression=zstd", []string{"compression"}},
		{pathTypeahead, []string{"query"}},
		{pathTypeahead + "?query=&limit=101", []string{"query", "limit"}},
		{pathTypeahead + "?query=%ff", []string{"query"}},
	} {
		var got []string
		for _, e := range s.get(test.target, key, 422).problem(t).Errors {
			if len(e.Loc) != 2 || e.Loc[0] != "query" || e.Msg == "" {
				t.Errorf("%s: %+v", test.target, e)
			}
			got = append(got, e.Loc[1])
		}
		slices.Sort(got)
		slices.Sort(test.bad)
		if got = slices.Compact(got); !slices.Equal(got, test.bad) {
			t.Errorf("%s: %v, want %v", test.target, got, test.bad)
		}
	}
}

func TestParametersThatAreFine(t *testing.T) {
	t.Parallel()
	s := start(t)
	key, _ := s.key("org_a", schema.KindAPIKey)
	for _, target := range []string{
		pathSessionsList + "?nobody_knows_this=1&page=1&page=2",
		pathSessionsList + "?search=%27%22%5C%25_%3B--&filter_public=Yes&org_scope=shared&sort_by=last_seen_at_timestamp&sort_order=asc",
		pathSessionsList + "?filter_created_at_timestamp_gte=2026-01-15T09:30:00+02:00&filter_created_at_timestamp_lte=2026-01-15%2009:30:00Z",
		pathTypeahead + "?query=%25&limit=100&org_scope=owned",
	} {
		s.get(target, key, 200)
	}
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.token("org_a", keys.RoleAdministrator)
	create := pathAPIKeys + "/create/v1"
	for _, test := range []struct {
		name, target, body string
		status             int
		loc                []string
	}{
		{"nothing", create, "", 422, []string{"body"}},
		{"no JSON", create, "name=x", 422, []string{"body"}},
		{"an array", create, "[]", 422, []string{"body"}},
		{"truncated", create, `{"name":"x"`, 422, []string{"body"}},
		{"two values", create, `{"name":"x"}{}`, 422, []string{"body"}},
		{"not UTF-8", create, "{\"name\":\"\xff\"}", 422, []string{"body"}},
		{"nothing in it", create, `{}`, 422, []string{"body", "name"}},
		{"null for what is required", create, `{"name":null,"expires_at_timestamp":"2027-01-15T09:30:00Z"}`, 422, []string{"body", "name"}},
		{"a number for a name", create, `{"name":1,"expires_at_timestamp":"2027-01-15T09:30:00Z"}`, 422, []string{"body", "name"}},
		{"a time that is none", create, `{"name":"x","expires_at_timestamp":"soon"}`, 422, []string{"body", "expires_at_timestamp"}},
		{"an expiry in the past", create, `{"name":"x","expires_at_timestamp":"2020-01-15T09:30:00Z"}`, 422, []string{"body", "expires_at_timestamp"}},
		{"a name with a control character", create, `{"name":"a\u0007","expires_at_timestamp":"2027-01-15T09:30:00Z"}`, 422, []string{"body", "name"}},
		{"64 KiB and more", create, `{"name":"` + strings.Repeat("x", 64<<10) + `"}`, 413, nil},
		{"a word for a bool", pathOutlier, `{"outlier":"yes","tracking_session_by_device_data_point_ids":[]}`, 422, []string{"body", "outlier"}},
		{"no list", pathOutlier, `{"outlier":true}`, 422, []string{"body", "tracking_session_by_device_data_point_ids"}},
		{"a list of numbers", pathOutlier, `{"outlier":true,"tracking_session_by_device_data_point_ids":[1]}`, 422, []string{"body", "tracking_session_by_device_data_point_ids"}},
		{"no grace", pathAPIKeys + "/rotate/v1?api_key_id=0123456789abcdef01234567", `{}`, 422, []string{"body", "grace_seconds"}},
		{"a long grace", pathAPIKeys + "/rotate/v1?api_key_id=0123456789abcdef01234567", `{"grace_seconds":604801}`, 422, []string{"body", "grace_seconds"}},
		{"no key", pathAPIKeys + "/rotate/v1?api_key_id=0123456789abcdef01234567", `{"grace_seconds":1}`, 404, nil},
		{"no key id", pathAPIKeys + "/revoke/v1", ``, 422, []string{"query", "api_key_id"}},
		{"a key id that is none", pathAPIKeys + "/revoke/v1?api_key_id=x", ``, 404, nil},
		{"a wrong type in an update", pathUpdateSession + "?session_id=0123456789abcdef01234567", `{"comments":1}`, 422, []string{"body", "comments"}},
		{"a wrong type of a clearing", pathUpdateSession + "?session_id=0123456789abcdef01234567", `{"comments__set_to_None":"x"}`, 422, []string{"body", "comments__set_to_None"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := s.post(test.target, admin, test.body, test.status).problem(t)
			if len(test.loc) == 0 {
				return
			}
			for _, e := range p.Errors {
				if slices.Equal(e.Loc, test.loc) {
					return
				}
			}
			t.Errorf("errors %v, want one at %v", p.Errors, test.loc)
		})
	}
	t.Run("another content type", func(t *testing.T) {
		for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""} {
			s.post(create, admin, `{}`, 415, header{"Content-Type", contentType}).problem(t)
		}
	})
	t.Run("a content encoding", func(t *testing.T) {
		s.post(create, admin, `{}`, 415, header{"Content-Encoding", "gzip"}).problem(t)
	})
	t.Run("JSON by a suffix and with a character set", func(t *testing.T) {
		for _, contentType := range []string{"application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"} {
			s.post(create, admin, `{}`, 422, header{"Content-Type", contentType})
		}
	})
}

func TestCredentialsInTheURLAreRefusedAndNotLogged(t *testing.T) {
	t.Parallel()
	s := start(t)
	key, _ := s.key("org_a", schema.KindAPIKey)
	token := s.token("org_a", keys.RoleOwner)
	for _, target := range []string{
		pathLastSeen + "?session_id=x&api_key=" + key,
		pathLastSeen + "?session_id=" + key,
		pathLastSeen + "?session_id=x&token=" + token,
		pathSessionsList + "?search=" + token,
		pathSessionsList + "?" + key,
		pathSessionsList + "?search=a%20" + strings.Replace(key, "_", "%5F", 1),
		"/nowhere?access_token=" + key,
		"/healthz?api_key=anything",
	} {
		for _, credential := range []string{"", token} {
			p := s.get(target, credential, 401).problem(t)
			if !strings.Contains(p.Detail, "URL") {
				t.Errorf("the answer says %q", p.Detail)
			}
		}
	}
	s.get("/"+key, "", 404)
	s.get("/healthz", "", 200, header{"X-Request-Id", key})
	s.get(pathSessionsList, "", 401, header{"Authorization", key})
	for _, secret := range []string{key, strings.Replace(key, "_", "%5F", 1), token} {
		if strings.Contains(s.log.String(), secret) {
			t.Error("the log holds a credential")
		}
	}
	s.get(pathSessionsList+"?search=ak_47&filter_off_chrt_reference_id=dk_1", token, 200) // references that only look like keys
}

func TestAnswersTellNothingOfTheInside(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.get("/nowhere", "", 404)
	if server := r.Header.Get("Server"); server != "" {
		t.Errorf("Server is %q", server)
	}
	for _, name := range []string{"X-Content-Type-Options", "Cache-Control", "X-Request-Id", "Date"} {
		if r.Header.Get(name) == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestARefusalNamesNoNextPage: who followed a cursor of an answer that failed would miss its points.
func TestARefusalNamesNoNextPage(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		with.handle = func(c *call) error {
			c.http.Response.Header.Set(headerNextCursor, "x")
			return problem.NoSession
		}
	})
	if got := s.get("/", "", 404).Header.Get(headerNextCursor); got != "" {
		t.Errorf("Next-Cursor is %q", got)
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := start(t)
	first, second := s.get("/healthz", "", 200), s.get("/healthz", "", 200)
	if a, b := first.Header.Get("X-Request-Id"), second.Header.Get("X-Request-Id"); a == "" || a == b {
		t.Errorf("ids %q and %q", a, b)
	}
	for proposed, kept := range map[string]bool{
		"abc-123_X.y": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "a b": false, `a"b`: false, "é": false, "<x>": false,
	} {
		got := s.get("/nowhere", "", 404, header{"X-Request-Id", proposed})
		if id := got.Header.Get("X-Request-Id"); (id == proposed) != kept {
			t.Errorf("%q was proposed, %q was used", proposed, id)
		}
		got.problem(t)
	}
}
