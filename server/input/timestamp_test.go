package input

import (
	"testing"
	"time"
)

func TestTimestamps(t *testing.T) {
	t.Parallel()
	accepted := map[string]string{
		"2026-01-15T09:30:00Z":                "2026-01-15T09:30:00Z",
		"2026-01-15t09:30:00z":                "2026-01-15T09:30:00Z",
		"2026-01-15 09:30:00Z":                "2026-01-15T09:30:00Z",
		"2026-01-15T09:30:00.1Z":              "2026-01-15T09:30:00.100Z",
		"2026-01-15T09:30:00.123456789Z":      "2026-01-15T09:30:00.123Z",
		"2026-01-15T09:30:00+02:00":           "2026-01-15T07:30:00Z",
		"2026-01-15T09:30:00 02:00":           "2026-01-15T07:30:00Z", // an unescaped + of a URL
		"2026-01-15T09:30:00-0230":            "2026-01-15T12:00:00Z",
		"2026-01-15T09:30:00+02":              "2026-01-15T07:30:00Z",
		"2026-01-15T09:30:00 0200":            "2026-01-15T07:30:00Z",
		"2026-01-15 09:30:00,5 02":            "2026-01-15T07:30:00.500Z",
		"2026-01-15 09:30Z":                   "2026-01-15T09:30:00Z",
		"2026-01-15T24:00:00Z":                "2026-01-16T00:00:00Z",
		"2026-01-15T09:30:00.1234567890Z":     "2026-01-15T09:30:00.123Z",
		"2016-12-31T23:59:60Z":                "2017-01-01T00:00:00Z",
		"1768469400":                          "2026-01-15T09:30:00Z",
		"1768469400123":                       "2026-01-15T09:30:00.123Z",
		"2024-02-29T23:59:59.999-00:00":       "2024-02-29T23:59:59.999Z",
		"1970-01-01T00:00:00Z":                "1970-01-01T00:00:00Z",
		"2200-12-31T23:59:59.999Z":            "2200-12-31T23:59:59.999Z",
		"1969-12-31T23:00:00-01:00":           "1970-01-01T00:00:00Z",
		"2026-01-15T09:30:00.000000000+23:59": "2026-01-14T09:31:00Z",
	}
	for text, want := range accepted {
		got, ok := ParseTimestamp(text)
		if !ok {
			t.Errorf("%q was rejected", text)
		} else if printed := string(AppendTimestamp(nil, got)); printed != want {
			t.Errorf("%q was read as %s, want %s", text, printed, want)
		}
	}
	for _, text := range []string{
		"", "now", "yesterday", "2026-01-15", "2026-01-15T", "2026-01-15T09", "2026-01-15T09:30:00", "2026-01-15 09:30", "2026-01-15T9:30:00Z",
		"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-00T00:00:00Z",
		"2026-01-15T24:00:01Z", "2026-01-15T09:60:00Z", "2026-01-15T09:30:60Z", "2026-01-15T09:30:00.Z",
		"2026-01-15T09:30:00ZZ", "2026-01-15T09:30:00Z ", " 2026-01-15T09:30:00Z", "2026-01-15T09:30:00+24:00", "2026-01-15T09:30:00+01:60",
		"+2026-01-15T09:30:00Z", "12026-01-15T09:30:00Z", "-026-01-15T09:30:00Z", "2026-01-15T09:30:00Z\x00",
		"1969-12-31T23:59:59Z", "2201-01-01T00:00:00Z", "1970-01-01T00:00:00+01:00", "٢٠٢٦-01-15T09:30:00Z", "NaN", "Infinity",
	} {
		if got, ok := ParseTimestamp(text); ok {
			t.Errorf("%q was read as %s, want it rejected", text, got)
		}
	}
}

func TestWhatIsWrongWithATimestampIsSaid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"soon":                 "The timestamp is not a time such as 2026-01-15T09:30:00Z, 2026-01-15T11:30:00+02:00, or Unix seconds or milliseconds.",
		"2026-01-15T09:30:00":  "The timestamp does not say its offset from UTC: end it with Z, or with an offset such as +02:00.",
		"2201-01-01T00:00:00Z": "The timestamp must lie between the years 1970 and 2200.",
	} {
		if got := timestampAdvice(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// FuzzTimestamp checks that an accepted timestamp means what the time package reads in it where both
// read it, lies in the allowed years, and survives being printed and read again.
func FuzzTimestamp(f *testing.F) {
	for _, seed := range []string{"2026-01-15T09:30:00Z", "2026-01-15 09:30:00.5 02:00", "1970-01-01T00:00:00-2359", "2200-12-31T23:59", "2024-02-29t00:00:00z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := ParseTimestamp(text)
		standard, err := time.Parse(time.RFC3339, text)
		inRange := standard.UTC().Year() >= firstYear && standard.UTC().Year() <= lastYear
		if err == nil && inRange && !ok {
			t.Fatalf("%q is RFC 3339 and was rejected", text)
		}
		if !ok {
			return
		}
		if err == nil && !got.Equal(time.UnixMilli(standard.UnixMilli())) {
			t.Fatalf("%q was read as %s, the time package reads %s", text, got, standard)
		}
		if got.Location() != time.UTC || got.Year() < firstYear || got.Year() > lastYear {
			t.Fatalf("%q was read as %s", text, got)
		}
		printed := string(AppendTimestamp(nil, got))
		again, ok := ParseTimestamp(printed)
		if !ok || !again.Equal(got.Truncate(time.Millisecond)) {
			t.Fatalf("%q was printed as %s, which reads as %s", text, printed, again)
		}
	})
}
