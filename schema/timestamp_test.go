package schema

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// FuzzParseTimestamp compares with package time: what we accept it accepts too, once written its
// way, and both mean the same instant.
func FuzzParseTimestamp(f *testing.F) {
	for _, seed := range []string{
		"2026-01-15T09:30:00Z", "2026-01-15t09:30:00.123456789z", "2026-01-15 09:30:00.1+02:00", "2024-02-29T23:59:59-0930",
		"2023-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2026-01-15T09:30:60Z", "2026-01-15T24:00:00Z",
		"2026-01-15T09:30:00", "2026-01-15T09:30Z", "2026-01-15T09:30:00.Z", "2026-1-15T09:30:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00+23:59",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ms, ok := ParseTimestamp(text)
		if msBytes, okBytes := ParseTimestamp([]byte(text)); msBytes != ms || okBytes != ok {
			t.Fatalf("%q: as bytes (%d, %v), as a string (%d, %v)", text, msBytes, okBytes, ms, ok)
		}
		theirs, err := time.Parse(time.RFC3339, text)
		if ok && err == nil && theirs.UnixMilli() != ms {
			t.Fatalf("%q: got %d, package time says %d", text, ms, theirs.UnixMilli())
		}
		if !ok {
			return
		}
		standard := rfc3339Offset.ReplaceAllString(strings.ToUpper(text[:10]+"T"+text[11:]), "$1:$2")
		theirs, err = time.Parse(time.RFC3339, standard)
		if err != nil || theirs.UnixMilli() != ms {
			t.Fatalf("%q: got %d, package time says %v, %v", text, ms, theirs.UnixMilli(), err)
		}
		if year := theirs.UTC().Year(); year < 0 || year > 9999 {
			return // the offset led out of the years that RFC 3339 can write
		}
		again, ok := ParseTimestamp(time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"))
		if !ok || again != ms {
			t.Fatalf("%q: got %d, and %d, %v after writing that", text, ms, again, ok)
		}
	})
}

var rfc3339Offset = regexp.MustCompile(`^(.*[+-]\d\d)(\d\d)$`)
