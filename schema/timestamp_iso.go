package schema

import (
	"regexp"
	"strconv"
	"time"
)

// maxISO is longer than any form of a time that makes sense.
const maxISO = 64

// isoForm is a date and a time in any of ISO 8601's forms. Its groups are the year, month and day or the
// day of the year or the week and its day, then hour, minute, second, fraction and offset.
var isoForm = regexp.MustCompile(`^(\d{4})-?(?:(\d\d)-?(\d\d)|(\d{3})|W(\d\d)-?([1-7]))[Tt ](\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?([Zz]|[+-]\d\d(?::?\d\d)?)?$`)

// ParseTimestampIn is ParseTimestamp for texts whose writer's time zone is known: it is that of times
// which do not say an offset.
func ParseTimestampIn(text string, zone *time.Location) (int64, bool) {
	if ms, ok := ParseTimestamp(text); ok {
		return ms, true
	}
	return parseISO(text, zone)
}

// parseISO reads the forms that parseExtended does not. A nil zone refuses a time without an offset.
func parseISO(text string, zone *time.Location) (int64, bool) {
	if len(text) > maxISO {
		return 0, false
	}
	parts := isoForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, false
	}
	date, ok := isoDate(parts)
	hour, minute, second := digits(parts[7]), digits(parts[8]), digits(parts[9])
	midnight := hour == 24 && minute == 0 && second == 0 && digits((parts[10] + "000")[:3]) == 0
	if !ok || hour > 23 && !midnight || minute > 59 || second > 60 {
		return 0, false
	}
	if offset := parts[11]; offset != "" {
		seconds, fits := offsetSeconds(offset, 0)
		if !fits {
			return 0, false
		}
		zone = time.FixedZone("", int(seconds))
	}
	if zone == nil {
		return 0, false
	}
	at := time.Date(date.Year(), date.Month(), date.Day(), hour, minute, second, 0, zone)
	if second == 60 && at.Unix()%86400 != 0 {
		return 0, false // no leap second: those come before midnight UTC
	}
	return at.UnixMilli() + int64(digits((parts[10] + "000")[:3])), true
}

// isoDate is the date of isoForm's groups, and false when the calendar has none such.
func isoDate(parts []string) (time.Time, bool) {
	year := digits(parts[1])
	switch {
	case parts[4] != "":
		date := time.Date(year, 1, digits(parts[4]), 0, 0, 0, 0, time.UTC)
		return date, parts[4] != "000" && date.Year() == year
	case parts[5] != "":
		// The fourth of January is always in the first week, which begins on its Monday.
		fourth := time.Date(year, 1, 4, 0, 0, 0, 0, time.UTC)
		monday := fourth.AddDate(0, 0, -(int(fourth.Weekday())+6)%7)
		date := monday.AddDate(0, 0, 7*(digits(parts[5])-1)+digits(parts[6])-1)
		isoYear, week := date.ISOWeek()
		return date, isoYear == year && week == digits(parts[5])
	}
	month, day := digits(parts[2]), digits(parts[3])
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return date, date.Month() == time.Month(month) && date.Day() == day
}

// digits reads what a group of digits has matched; nothing is 0.
func digits(text string) int {
	number, _ := strconv.Atoi(text)
	return number
}

// The words for a time that cannot be read, to be put after its name or its text.
const (
	notATimestamp = "is not a time such as 2026-01-15T09:30:00Z, 2026-01-15T11:30:00+02:00, or Unix seconds or milliseconds"
	noOffset      = "does not say its offset from UTC: end it with Z, or with an offset such as +02:00"
)

// TimestampProblem says in the same words everywhere what is wrong with a text that ParseTimestamp has
// refused. They are to be put after the name of what was to be a time.
func TimestampProblem[T string | []byte](text T) string {
	if LacksOffset(text) {
		return noOffset
	}
	return notATimestamp
}

// LacksOffset reports whether a text is a time that only lacks its offset from UTC.
func LacksOffset[T string | []byte](text T) bool {
	_, ok := parseISO(string(text[:min(len(text), maxISO+1)]), time.UTC)
	return ok
}
