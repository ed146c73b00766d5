package server

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"lastseen/query/history/format"
	"lastseen/server/input"
)

func lines(texts ...string) (all [][]byte) {
	for _, text := range texts {
		all = append(all, []byte(text))
	}
	return all
}

func TestTheFormatIsTheOneThatAcceptLikesBest(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]format.Format{
		"":                                 format.JSON,
		"*/*":                              format.JSON,
		"application/json":                 format.JSON,
		"application/*":                    format.JSON,
		"text/csv":                         format.CSV,
		"Text/CSV; charset=utf-8":          format.CSV,
		"text/*":                           format.CSV,
		"text/csv, */*":                    format.CSV,
		"*/*, text/csv":                    format.CSV,
		"*/*;q=0.9, text/csv;q=0.8":        format.JSON,
		"application/json, text/csv":       format.JSON,
		"application/json;q=0.5, text/csv": format.CSV,
		"application/json;q=0, */*":        format.NDJSON,
		"application/x-ndjson":             format.NDJSON,
		"application/ndjson":               format.NDJSON,
		"application/jsonl":                format.NDJSON,
		"application/geo+json, application/gpx+xml;q=0.2":                         format.GeoJSON,
		"application/gpx+xml":                                                     format.GPX,
		"application/vnd.apache.parquet":                                          format.Parquet,
		"application/vnd.apache.arrow.stream":                                     format.Arrow,
		"text/html,application/xhtml+xml,application/xml;q=0.9,image/*,*/*;q=0.8": format.JSON,
		"text/html":                  format.JSON, // nothing that there is
		"application/json;q=0":       format.JSON,
		"text/csv;q=0, text/*;q=0.5": format.JSON,
		"text/csv;q=9, nonsense":     format.JSON,
	} {
		if got := acceptedFormat(input.Preferences(lines(accept))); got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
}

// FuzzPreferences checks that what is read, written down again, reads the same, and that no format is
// liked more than the chosen one.
func FuzzPreferences(f *testing.F) {
	for _, seed := range []string{"gzip;q=0.5, *;q=0", `a/b;x="q,;";q=1, text/csv`, "identity;q=0,zstd", "*/*;q=0.001", `";,\`, "text/csv;q=0,*/*"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		read := input.Preferences([][]byte{header})
		var again [][]byte
		for _, p := range read {
			if p.Weight < 0 || p.Weight > 1000 || p.Value == "" || strings.ContainsAny(p.Value, " ,;=\"") {
				t.Fatalf("%q was read as %v", header, read)
			}
			whole, part := strconv.Itoa(p.Weight/1000), strconv.Itoa(1000 + p.Weight%1000)[1:]
			again = append(again, []byte(p.Value+";q="+whole+"."+part))
		}
		if second := input.Preferences(again); !slices.Equal(read, second) {
			t.Errorf("%q was read as %v, and that as %v", header, read, second)
		}
		chosen := acceptedFormat(read)
		weight, _ := formatWeight(chosen, read)
		for _, kind := range format.All() {
			if other, _ := formatWeight(kind, read); other > weight {
				t.Errorf("%q likes %s more than %s", header, kind, chosen)
			}
		}
	})
}
