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

// ParseTimestamp reads an instant in every form that schema.ParseTimestamp takes, as import and ingest do;
// what is wrong with one that it refuses is said in their words (timestampAdvice). A space before the
// offset is read as a plus: an unescaped + in a URL arrives as a space. The result is in UTC, in
// milliseconds, and between the years 1970 and 2200.
func ParseTimestamp(text string) (time.Time, bool) {
	ms, ok := schema.ParseTimestamp(withPlus(text))
	instant := time.UnixMilli(ms).UTC()
	return instant, ok && instant.Year() >= firstYear && instant.Year() <= lastYear
}

// withPlus puts back the plus of an offset that a URL has made a space.
func withPlus(text string) string {
	last := strings.LastIndexByte(text, ' ')
	if last < len("2026-01-15T09") {
		return text // the space between date and time
	}
	return text[:last] + "+" + text[last+1:]
}

// timestampAdvice says what to send in place of a text that ParseTimestamp has refused.
func timestampAdvice(text string) string {
	if _, ok := schema.ParseTimestamp(withPlus(text)); ok {
		return "The timestamp must lie between the years 1970 and 2200."
	}
	return "The timestamp " + schema.TimestampProblem(withPlus(text)) + "."
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
