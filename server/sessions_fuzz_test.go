package server

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"lastseen/schema"
	"lastseen/server/input"
)

func parametersOf(query string) *input.Parameters {
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.URI().SetQueryString(query)
	return input.Of(ctx)
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
		if p.Problem() != nil {
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
			read, ok := input.ParseTimestamp(want)
			if !ok || !filter.CreatedAt.From.Equal(read) {
				t.Fatalf("%q: the range begins at %s", query, filter.CreatedAt.From)
			}
		}
	})
}
