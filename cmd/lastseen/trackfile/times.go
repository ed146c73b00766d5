package trackfile

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"lastseen/ingest"
)

// errNoTime says that a text has no form of a date and time at all.
var errNoTime = errors.New("not a time")

// localLayouts are the forms of a time that does not say its zone. Parse accepts fractions of a second
// after each, with a dot or a comma. A date of the form 1/2/2026 is not among them, because nobody
// knows which of its numbers is the month.
var localLayouts = []string{
	"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02t15:04:05", "2006-01-02T15:04", "2006-01-02 15:04",
	"2006/01/02 15:04:05", "2006/01/02 15:04", "02.01.2006 15:04:05", "02.01.2006 15:04", "20060102T150405", "20060102 150405",
}

// Timestamps beyond these are not in the four-digit years that RFC 3339 can write.
var (
	minTimestamp = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	maxTimestamp = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() - 1
)

// parseTime reads a date and time into Unix milliseconds; what is finer is cut. One without a zone is
// taken to be of the given one, and refused when that is nil.
func parseTime(text string, zone *time.Location) (int64, error) {
	if ms, ok := ingest.ParseTimestamp(text); ok {
		return checkTimestamp(ms, text)
	}
	if ms, ok := ingest.ParseTimestamp(strings.Replace(text, " UTC", "Z", 1)); ok {
		return checkTimestamp(ms, text)
	}
	for _, layout := range localLayouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if zone == nil {
			return 0, fmt.Errorf("%s does not say its time zone: say which one it is with --time-zone, such as --time-zone UTC", quote(text))
		}
		t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
		return checkTimestamp(t.UnixMilli(), text)
	}
	return 0, errNoTime
}

// isTimeOfDay reports whether a text is a time without a date.
func isTimeOfDay(text string) bool {
	return len(text) >= len("15:04:05") && text[2] == ':' && text[5] == ':'
}

// unixTime reads a number of the unit since 1970 into milliseconds; what is finer is cut. Without a unit
// it is seconds below 1e11 (the year 5138) and milliseconds from there on.
func unixTime(text string, u *unit) (int64, error) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
		return 0, fmt.Errorf("%s is not a time such as 2026-01-15T09:30:00Z, or Unix seconds or milliseconds", quote(text))
	}
	scale := times["s"].scale
	switch {
	case u != nil:
		scale = u.scale
	case math.Abs(number) >= 1e11:
		scale = times["ms"].scale
	}
	if rough := number * scale; math.Abs(rough) > float64(maxTimestamp) {
		return 0, outOfTime(text)
	} else if math.Abs(rough) < 1 {
		return 0, nil
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, fmt.Errorf("%s is not a number of seconds or milliseconds", quote(text))
	}
	if scale >= 1 {
		exact.Mul(exact, new(big.Rat).SetInt64(int64(scale)))
	} else {
		exact.Quo(exact, new(big.Rat).SetInt64(int64(math.Round(1/scale))))
	}
	ms := new(big.Int).Div(exact.Num(), exact.Denom()) // towards the past, also before 1970
	return checkTimestamp(ms.Int64(), text)
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
