package input

import (
	"strings"
	"time"
)

// The years that a timestamp may lie in. Everything outside is a typing error.
const (
	firstYear = 1970
	lastYear  = 2200
)

// ParseTimestamp reads an RFC 3339 date-time. As the reference service does, it also accepts a space
// or a lower-case t between date and time, a time without seconds, an offset without a colon, and a
// date-time without an offset, which is taken as UTC. A space before the offset is read as a plus: an
// unescaped + in a URL arrives as a space. The result is in UTC and between the years 1970 and 2200.
func ParseTimestamp(text string) (time.Time, bool) {
	t := timestampText{rest: text}
	year := t.digits(4)
	t.one("-")
	month := t.digits(2)
	t.one("-")
	day := t.digits(2)
	t.one("Tt ")
	hour := t.digits(2)
	t.one(":")
	minute := t.digits(2)
	second, nanosecond := 0, 0
	if t.next(":") {
		t.one(":")
		second = t.digits(2)
		if t.next(".") {
			t.one(".")
			nanosecond = t.fraction()
		}
	}
	offset := t.offset()
	if t.failed || len(t.rest) > 0 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	local := time.Date(year, time.Month(month), day, hour, minute, second, nanosecond, time.UTC)
	if local.Month() != time.Month(month) || local.Day() != day {
		return time.Time{}, false // such as 30 February, which time.Date moves into March
	}
	instant := local.Add(-offset)
	return instant, instant.Year() >= firstYear && instant.Year() <= lastYear
}

// timestampText is what is left to read of a timestamp. The first thing that does not fit sets failed.
type timestampText struct {
	rest   string
	failed bool
}

// next reports whether one of the given characters comes next.
func (t *timestampText) next(characters string) bool {
	return len(t.rest) > 0 && strings.IndexByte(characters, t.rest[0]) >= 0
}

// one reads one of the given characters.
func (t *timestampText) one(characters string) {
	if t.failed = t.failed || !t.next(characters); !t.failed {
		t.rest = t.rest[1:]
	}
}

// digits reads a number of exactly n digits.
func (t *timestampText) digits(n int) int {
	value := 0
	for range n {
		if t.failed = t.failed || !t.next("0123456789"); t.failed {
			return 0
		}
		value = value*10 + int(t.rest[0]-'0')
		t.rest = t.rest[1:]
	}
	return value
}

// fraction reads one to nine digits of a second's fraction, in nanoseconds.
func (t *timestampText) fraction() int {
	value, unit := 0, int(time.Second)
	for n := 0; n == 0 || n < 9 && t.next("0123456789"); n++ {
		unit /= 10
		value += t.digits(1) * unit
	}
	return value
}

// offset reads Z, an offset from UTC, or nothing.
func (t *timestampText) offset() time.Duration {
	switch {
	case len(t.rest) == 0:
		return 0
	case t.next("Zz"):
		t.rest = t.rest[1:]
		return 0
	}
	sign := time.Duration(1)
	if t.next("-") {
		sign = -1
	}
	t.one("+- ")
	hours := t.digits(2)
	if t.next(":") {
		t.one(":")
	}
	minutes := t.digits(2)
	t.failed = t.failed || hours > 23 || minutes > 59
	return sign * (time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute)
}

// AppendTimestamp appends an instant as the wire wants it: RFC 3339 in UTC with Z, three decimals
// when there are milliseconds and none when not.
func AppendTimestamp(b []byte, t time.Time) []byte {
	t = t.UTC().Truncate(time.Millisecond)
	if t.Nanosecond() == 0 {
		return t.AppendFormat(b, "2006-01-02T15:04:05Z")
	}
	return t.AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// Time is an instant in a JSON answer.
type Time time.Time

// MarshalJSON writes the instant as AppendTimestamp does.
func (t Time) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 32), '"')
	return append(AppendTimestamp(b, time.Time(t)), '"'), nil
}

// TimeOrNothing returns nil, which omitempty leaves out, for the zero time.
func TimeOrNothing(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	wire := Time(t)
	return &wire
}
