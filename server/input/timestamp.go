package input

import (
	"lastseen/schema"
	"time"
)

// The years that a timestamp may lie in. Everything outside is a typing error.
const (
	firstYear = 1970
	lastYear  = 2200
)

// ParseTimestamp reads a date and time as schema.ParseLooseTimestamp does. The result is in UTC and between the years
// 1970 and 2200.
func ParseTimestamp(text string) (time.Time, bool) {
	instant, ok := schema.ParseLooseTimestamp(text)
	return instant, ok && instant.Year() >= firstYear && instant.Year() <= lastYear
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
