package input

import (
	"slices"
	"strings"
	"testing"
)

func lines(texts ...string) (all [][]byte) {
	for _, text := range texts {
		all = append(all, []byte(text))
	}
	return all
}

func TestPreferencesAreReadAsTheStandardSays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		header []string
		want   []Preference
	}{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{" , ,; q=1,"}, nil},
		{[]string{"gzip"}, []Preference{{"gzip", 1000}}},
		{[]string{"GZip;Q=0.5 , br ; q=1.000", "zstd;q=0"}, []Preference{{"gzip", 500}, {"br", 1000}, {"zstd", 0}}},
		{[]string{"a/b;version=1;q=0.123;x=2"}, []Preference{{"a/b", 123}}},
		{[]string{`a/b;title="x, y; q=0.1";q=0.2, c/d`}, []Preference{{"a/b", 200}, {"c/d", 1000}}},
		{[]string{`a/b;title="x\", y", c/d`}, []Preference{{"a/b", 1000}, {"c/d", 1000}}},
		{[]string{"a;q=1.001, b;q=2, c;q=, d;q=0.1234, e;q=x, f;q=-1, g;q=.5, h;q=0., i;q=1e0"}, []Preference{{"h", 0}}},
		{[]string{strings.Repeat("a,", 1000)}, slices.Repeat([]Preference{{"a", 1000}}, maxPreferences)},
	} {
		if got := Preferences(lines(test.header...)); !slices.Equal(got, test.want) {
			t.Errorf("%q: %v, want %v", test.header, got, test.want)
		}
	}
}
