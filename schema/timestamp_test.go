package schema

import (
	"testing"
	"time"
)

// FuzzParseTimestamp compares with package time: what it accepts we accept too, and both mean the same
// instant; and what we read, written its way, reads as the same again.
func FuzzParseTimestamp(f *testing.F) {
	for _, seed := range []string{
		"2026-01-15T09:30:00Z", "2026-01-15t09:30:00.123456789z", "2026-01-15 09:30:00.1+02:00", "2024-02-29T23:59:59-0930",
		"2023-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2026-01-15T09:30:60Z", "2026-01-15T24:00:00Z",
		"2026-01-15T09:30:00", "2026-01-15T09:30Z", "2026-01-15T09:30:00.Z", "2026-1-15T09:30:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00+23:59",
		"20260501T1000Z", "2026-121T10:00:00,5+02", "2026-W18-5T10:00:00Z", "1777629600.123", "-1.5e3",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ms, ok := ParseTimestamp(text)
		if msBytes, okBytes := ParseTimestamp([]byte(text)); msBytes != ms || okBytes != ok {
			t.Fatalf("%q: as bytes (%d, %v), as a string (%d, %v)", text, msBytes, okBytes, ms, ok)
		}
		theirs, err := time.Parse(time.RFC3339, text)
		if err == nil && !ok {
			t.Fatalf("%q is refused, and package time reads it", text)
		}
		if ok && err == nil && theirs.UnixMilli() != ms {
			t.Fatalf("%q: got %d, package time says %d", text, ms, theirs.UnixMilli())
		}
		if !ok {
			return
		}
		if year := time.UnixMilli(ms).UTC().Year(); year < 0 || year > 9999 {
			return // the offset led out of the years that RFC 3339 can write
		}
		again, ok := ParseTimestamp(time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"))
		if !ok || again != ms {
			t.Fatalf("%q: got %d, and %d, %v after writing that", text, ms, again, ok)
		}
	})
}
