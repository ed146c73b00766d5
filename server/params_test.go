package server

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"lastseen/schema"
)

func parametersOf(query string) *parameters {
	args := &fasthttp.Args{}
	args.Parse(query)
	return &parameters{args: args}
}

// badParameters returns the names that a request's parameters were refused for.
func badParameters(p *parameters) []string {
	var names []string
	for _, e := range p.errors {
		names = append(names, e.loc[1])
	}
	return names
}

func TestParameters(t *testing.T) {
	t.Parallel()
	t.Run("booleans are read as the reference service reads them", func(t *testing.T) {
		for _, word := range []string{"true", "True", "TRUE", "1", "yes", "on", "t", "Y"} {
			if got := parametersOf("b=" + word).boolean("b"); got == nil || !*got {
				t.Errorf("%q is not true", word)
			}
		}
		for _, word := range []string{"false", "False", "0", "no", "OFF", "f", "n"} {
			if got := parametersOf("b=" + word).boolean("b"); got == nil || *got {
				t.Errorf("%q is not false", word)
			}
		}
		for _, word := range []string{"", "2", "maybe", "null", "tru", "%20true"} {
			p := parametersOf("b=" + word)
			if p.boolean("b"); len(p.errors) != 1 {
				t.Errorf("%q was accepted", word)
			}
		}
	})
	t.Run("integers are digits within their range", func(t *testing.T) {
		for text, want := range map[string]int{"1": 1, "007": 7, "100": 100, "-0": 0, "%2B5": 5} {
			if p := parametersOf("n=" + text); p.integer("n", 9, 0, 100) != want || len(p.errors) != 0 {
				t.Errorf("%q was not read as %d", text, want)
			}
		}
		for _, text := range []string{"", "101", "-1", "1.0", "1e2", "0x1", "1_0", "1%20", "NaN", "99999999999999999999", "١"} {
			p := parametersOf("n=" + text)
			if p.integer("n", 9, 0, 100); len(p.errors) != 1 {
				t.Errorf("%q was accepted", text)
			}
		}
		if parametersOf("").integer("n", 9, 0, 100) != 9 {
			t.Error("the default was not used")
		}
	})
	t.Run("the last of repeated parameters counts", func(t *testing.T) {
		if got := parametersOf("a=1&a=2&b=3&a=4").text("a"); got != "4" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("every bad parameter is named", func(t *testing.T) {
		p := parametersOf("end_timestamp=soon&bucket_seconds=0&search=%ff")
		p.required("session_id")
		p.requiredTimestamp("start_timestamp")
		p.requiredTimestamp("end_timestamp")
		p.integer("bucket_seconds", 0, 1, 604800)
		p.text("search")
		want := []string{"session_id", "start_timestamp", "end_timestamp", "bucket_seconds", "search"}
		if got := badParameters(p); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("words are exact", func(t *testing.T) {
		if p := parametersOf("s=ASC"); p.choice("s", "desc", "asc") != "desc" || len(p.errors) != 1 {
			t.Error("ASC was accepted")
		}
		if p := parametersOf(""); p.choice("s", "desc", "asc") != "desc" || len(p.errors) != 0 {
			t.Error("the default was not used")
		}
	})
}

// FuzzSessionParameters reads arbitrary query strings as those of the session list. What is accepted
// must be what a second, independent reading of the query string finds, and what net/url cannot
// find in it must have been left out or refused.
func FuzzSessionParameters(f *testing.F) {
	f.Add("search=x&org_scope=owned&filter_public=yes&filter_created_at_timestamp_gte=2026-01-15T09:30:00Z")
	f.Add("filter_device_id=&filter_terminated=0&org_scope=shared&search=%00%ff")
	f.Add("a=1;b=2&search=+&&=&search")
	f.Fuzz(func(t *testing.T, query string) {
		p := parametersOf(query)
		filter := sessionFilter(p)
		if p.problem() != nil {
			return // 422: nothing of it is used
		}
		if !utf8.ValidString(filter.Search) {
			t.Fatalf("%q: the search is not UTF-8", query)
		}
		if strings.ContainsAny(query, ";%") { // net/url drops parts that it cannot read
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		last := func(name string) string {
			if all := values[name]; len(all) > 0 {
				return all[len(all)-1]
			}
			return ""
		}
		if filter.Search != last("search") {
			t.Fatalf("%q: the search is %q", query, filter.Search)
		}
		if (filter.Public != nil) != values.Has("filter_public") {
			t.Fatalf("%q: filter_public is %v", query, filter.Public)
		}
		if scope := last("org_scope"); (filter.Scope == schema.Shared) != (scope == "shared") {
			t.Fatalf("%q: the scope is %v", query, filter.Scope)
		}
		if want := last("filter_created_at_timestamp_gte"); want != "" {
			read, ok := parseTimestamp(want)
			if !ok || !filter.CreatedAt.From.Equal(read) {
				t.Fatalf("%q: the range begins at %s", query, filter.CreatedAt.From)
			}
		}
	})
}

// FuzzJSONBody checks that a body is either refused as a 422 or is JSON by the standard library too.
func FuzzJSONBody(f *testing.F) {
	f.Add([]byte(`{"name":"x","expires_at_timestamp":"2026-01-15T09:30:00Z"}`))
	f.Add([]byte(`{"name":1}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"name":"` + "\xff" + `"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var target struct {
			Name *string `json:"name"`
		}
		err := decodeJSON(body, &target)
		if err == nil {
			if !json.Valid(body) || !utf8.Valid(body) {
				t.Fatalf("%q was accepted", body)
			}
			return
		}
		p := asProblem(err, inQuery)
		if p.status != fasthttp.StatusUnprocessableEntity || p.fields[0].loc[0] != "body" {
			t.Fatalf("%q: %d %v", body, p.status, p.fields)
		}
	})
}
