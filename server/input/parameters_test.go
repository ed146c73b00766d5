package input

import (
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"lastseen/server/problem"
)

func parametersOf(query string) *Parameters {
	args := &fasthttp.Args{}
	args.Parse(query)
	return &Parameters{args: args}
}

// badParameters returns the names that a request's parameters were refused for.
func badParameters(p *Parameters) []string {
	var names []string
	for _, e := range p.errors {
		names = append(names, e.Loc[1])
	}
	return names
}

func TestParameters(t *testing.T) {
	t.Parallel()
	t.Run("booleans are read as the reference service reads them", func(t *testing.T) {
		for _, word := range []string{"true", "True", "TRUE", "1", "yes", "on", "t", "Y"} {
			if got := parametersOf("b=" + word).Boolean("b"); got == nil || !*got {
				t.Errorf("%q is not true", word)
			}
		}
		for _, word := range []string{"false", "False", "0", "no", "OFF", "f", "n"} {
			if got := parametersOf("b=" + word).Boolean("b"); got == nil || *got {
				t.Errorf("%q is not false", word)
			}
		}
		for _, word := range []string{"", "2", "maybe", "null", "tru", "%20true"} {
			p := parametersOf("b=" + word)
			if p.Boolean("b"); len(p.errors) != 1 {
				t.Errorf("%q was accepted", word)
			}
		}
	})
	t.Run("integers are digits within their range", func(t *testing.T) {
		for text, want := range map[string]int{"1": 1, "007": 7, "100": 100, "-0": 0, "%2B5": 5} {
			if p := parametersOf("n=" + text); p.Integer("n", 9, Range{0, 100}) != want || len(p.errors) != 0 {
				t.Errorf("%q was not read as %d", text, want)
			}
		}
		for _, text := range []string{"", "101", "-1", "1.0", "1e2", "0x1", "1_0", "1%20", "NaN", "99999999999999999999", "١"} {
			p := parametersOf("n=" + text)
			if p.Integer("n", 9, Range{0, 100}); len(p.errors) != 1 {
				t.Errorf("%q was accepted", text)
			}
		}
		if parametersOf("").Integer("n", 9, Range{0, 100}) != 9 {
			t.Error("the default was not used")
		}
	})
	t.Run("the last of repeated parameters counts", func(t *testing.T) {
		if got := parametersOf("a=1&a=2&b=3&a=4").Text("a"); got != "4" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("every bad parameter is named", func(t *testing.T) {
		p := parametersOf("end_timestamp=soon&bucket_seconds=0&search=%ff")
		p.Required("session_id")
		p.RequiredTimestamp("start_timestamp")
		p.RequiredTimestamp("end_timestamp")
		p.Integer("bucket_seconds", 0, Range{1, 604800})
		p.Text("search")
		want := []string{"session_id", "start_timestamp", "end_timestamp", "bucket_seconds", "search"}
		if got := badParameters(p); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("words are exact", func(t *testing.T) {
		if p := parametersOf("s=ASC"); p.Choice("s", "desc", "asc") != "desc" || len(p.errors) != 1 {
			t.Error("ASC was accepted")
		}
		if p := parametersOf(""); p.Choice("s", "desc", "asc") != "desc" || len(p.errors) != 0 {
			t.Error("the default was not used")
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
		err := DecodeJSON(body, &target)
		if err == nil {
			if !json.Valid(body) || !utf8.Valid(body) {
				t.Fatalf("%q was accepted", body)
			}
			return
		}
		p := problem.From(err, problem.Query)
		if p.Status != fasthttp.StatusUnprocessableEntity || p.Fields[0].Loc[0] != "body" {
			t.Fatalf("%q: %d %v", body, p.Status, p.Fields)
		}
	})
}
