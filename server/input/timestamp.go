package input

import (
	"strings"
	"time"

	"lastseen/schema"
)

// The years that a timestamp may lie in. Everything outside is a typing error.
const (
	firstYear = 1970
	lastYear  = 2200
)

// ParseTimestamp reads an RFC 3339 date-time. As the reference service does, it also accepts what a time of a point must
// not be (see schema.ParseTimestamp, which reads the rest): a time without seconds, and a date-time without an offset,
// which is taken as UTC. A space before the offset is read as a plus: an
// unescaped + in a URL arrives as a space. The result is in UTC, exact to the nanosecond, and between the years 1970 and
// 2200.
func ParseTimestamp(text string) (time.Time, bool) {
	const toMinutes = len("2006-01-02T15:04")
	if len(text) < toMinutes {
		return time.Time{}, false
	}
	minutes, seconds, fraction, offset := text[:toMinutes], ":00", "", text[toMinutes:]
	if strings.HasPrefix(offset, ":") {
		length := min(len(":05"), len(offset))
		seconds, offset = offset[:length], offset[length:]
		fraction, offset = cutFraction(offset)
	}
	switch {
	case offset == "":
		offset = "Z"
	case offset[0] == ' ':
		offset = "+" + offset[1:]
	case offset[0] == '.':
		return time.Time{}, false // too long, or of a minute
	}
	milliseconds, ok := schema.ParseTimestamp(minutes + seconds + fraction + offset)
	if !ok {
		return time.Time{}, false
	}
	instant := time.UnixMilli(milliseconds).UTC().Add(beyondMilliseconds(fraction))
	return instant, instant.Year() >= firstYear && instant.Year() <= lastYear
}

// cutFraction returns the fraction of a second with which a text begins, a point and one to nine digits, or an empty text
// where there is none, and what comes after it.
func cutFraction(text string) (fraction, after string) {
	digits := len(text) - len(strings.TrimLeft(text[min(1, len(text)):], "0123456789")) - 1
	if !strings.HasPrefix(text, ".") || digits < 1 || digits > 9 {
		return "", text
	}
	return text[:1+digits], text[1+digits:]
}

// beyondMilliseconds returns what a fraction of a second has beyond its milliseconds.
func beyondMilliseconds(fraction string) time.Duration {
	const ofMilliseconds = len(".000")
	if len(fraction) <= ofMilliseconds {
		return 0
	}
	nanoseconds := 0
	for _, digit := range (fraction[ofMilliseconds:] + "000000")[:6] {
		nanoseconds = nanoseconds*10 + int(digit-'0')
	}
	return time.Duration(nanoseconds)
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
