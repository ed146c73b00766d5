package trackfile

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"lastseen/schema"
)

// localLayouts are forms, besides those of ISO 8601, of a time that does not say its zone. Parse accepts
// fractions of a second after each. A date such as 1/2/2026 is not among them, because nobody knows which
// of its numbers is the month.
var localLayouts = []string{"2006/01/02 15:04:05", "2006/01/02 15:04", "02.01.2006 15:04:05", "02.01.2006 15:04"}

// Timestamps beyond these are not in the four-digit years that RFC 3339 can write.
var (
	minTimestamp = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	maxTimestamp = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() - 1
)

// parseTime reads a time into Unix milliseconds; what is finer is cut. One without a zone is taken to be
// of the given one, and refused when that is nil.
func parseTime(text string, zone *time.Location) (int64, error) {
	if ms, ok := schema.ParseTimestampIn(text, zone); ok {
		return checkTimestamp(ms, text)
	}
	if ms, ok := schema.ParseTimestamp(strings.Replace(text, " UTC", "Z", 1)); ok {
		return checkTimestamp(ms, text)
	}
	lacksZone := schema.LacksOffset(text)
	for _, layout := range localLayouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if zone != nil {
			t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
			return checkTimestamp(t.UnixMilli(), text)
		}
		lacksZone = true
	}
	if lacksZone {
		return 0, fmt.Errorf("%s does not say its offset from UTC: say which time zone it is with --time-zone, such as --time-zone UTC", quote(text))
	}
	return 0, fmt.Errorf("%s %s", quote(text), schema.TimestampProblem(text))
}

// isTimeOfDay reports whether a text is a time without a date.
func isTimeOfDay(text string) bool {
	return len(text) >= len("15:04:05") && text[2] == ':' && text[5] == ':'
}

// unixTime reads a number of a unit since 1970 into milliseconds; what is finer is cut.
func unixTime(text string, u *unit) (int64, error) {
	ms, ok := schema.ParseUnix(text, int(math.Round(math.Log10(u.scale))))
	if !ok {
		return 0, fmt.Errorf("%s is not a number of the unit that is said", quote(text))
	}
	return checkTimestamp(ms, text)
}

func checkTimestamp(ms int64, text string) (int64, error) {
	if ms < minTimestamp || ms > maxTimestamp {
		return 0, outOfTime(text)
	}
	return ms, nil
}

func outOfTime(text string) error {
	return fmt.Errorf("%s is not in the years 1 to 9999", quote(text))
}

// ParseZone reads a time zone: a name of the IANA database such as Europe/Berlin, UTC, Local, or an
// offset such as +02:00, +0200 or +02.
func ParseZone(text string) (*time.Location, error) {
	for _, layout := range []string{"-07:00", "-0700", "-07"} {
		if t, err := time.Parse(layout, text); err == nil {
			_, seconds := t.Zone()
			return time.FixedZone(text, seconds), nil
		}
	}
	if text == "" {
		return nil, errors.New("the time zone is empty")
	}
	zone, err := time.LoadLocation(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a time zone such as UTC, Europe/Berlin or +02:00", quote(text))
	}
	return zone, nil
}
