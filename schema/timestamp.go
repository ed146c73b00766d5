package schema

import "time"

// ParseTimestamp reads an RFC 3339 date and time and returns it as Unix milliseconds; what is finer
// is cut off towards the past. As RFC 3339 allows, "t" and "z" may be small and a space may stand
// for the "T"; the offset may also be written +hhmm. A time without an offset is refused, since
// nobody knows where its device's clock was set. Years 0000 to 9999.
//
// It returns false for any other text.
func ParseTimestamp[T string | []byte](text T) (ms int64, ok bool) {
	seconds, nanoseconds, ok := parseTimestamp(text, false)
	return seconds*1000 + nanoseconds/1_000_000, ok
}

// ParseLooseTimestamp reads a date and time as the reference service reads parameters: like ParseTimestamp, but the
// seconds may be left out, and the offset too, which is then UTC; a space stands for the plus of an offset, since an
// unescaped + in a URL arrives as one; and a fraction has at most nine digits. The result is in UTC.
func ParseLooseTimestamp(text string) (time.Time, bool) {
	seconds, nanoseconds, ok := parseTimestamp(text, true)
	return time.Unix(seconds, nanoseconds).UTC(), ok
}

// parseTimestamp reads what both of the above read, into Unix seconds and what is finer.
func parseTimestamp[T string | []byte](text T, loose bool) (seconds, nanoseconds int64, ok bool) {
	// 2026-01-15T09:30:00Z is the shortest form, and 2026-01-15T09:30 the shortest loose one.
	if len(text) < 16 || !loose && len(text) < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' {
		return 0, 0, false
	}
	if c := text[10]; c != 'T' && c != 't' && c != ' ' {
		return 0, 0, false
	}
	century, year := twoDigits(text, 0), twoDigits(text, 2)
	month, day := twoDigits(text, 5), twoDigits(text, 8)
	hour, minute, second := twoDigits(text, 11), twoDigits(text, 14), uint(0)
	end := 16
	if !loose || len(text) >= 19 && text[16] == ':' {
		if text[16] != ':' {
			return 0, 0, false
		}
		second = twoDigits(text, 17)
		if nanoseconds, end, ok = fraction(text, 19); !ok || loose && end > 19+1+9 {
			return 0, 0, false
		}
	}
	// Something that is no digit shows as a number above 99.
	if max(century, year) > 99 || month-1 > 11 || hour > 23 || minute > 59 || second > 59 {
		return 0, 0, false
	}
	year += 100 * century
	if day-1 >= daysIn(year, month) {
		return 0, 0, false
	}
	offset, ok := offsetSeconds(text, end, loose)
	if !ok {
		return 0, 0, false
	}
	return daysSinceEpoch(year, month, day)*86400 + int64(hour)*3600 + int64(minute)*60 + int64(second) - offset, nanoseconds, true
}

// twoDigits reads the two digits at i, and returns more than 99 when they are none.
func twoDigits[T string | []byte](text T, i int) uint {
	tens, ones := uint(text[i]-'0'), uint(text[i+1]-'0')
	if tens > 9 || ones > 9 {
		return 100
	}
	return 10*tens + ones
}

// fraction reads the fraction of a second at i, if there is one, in nanoseconds, and returns where it ends.
func fraction[T string | []byte](text T, i int) (nanoseconds int64, end int, ok bool) {
	if i == len(text) || text[i] != '.' {
		return 0, i, true
	}
	i++
	start := i
	for weight := int64(100_000_000); i < len(text) && text[i]-'0' <= 9; i++ {
		nanoseconds += weight * int64(text[i]-'0')
		weight /= 10
	}
	return nanoseconds, i, i > start
}

// offsetSeconds reads the offset from UTC, which is the rest of the text from i.
func offsetSeconds[T string | []byte](text T, i int, loose bool) (int64, bool) {
	rest := len(text) - i
	if rest == 1 && (text[i] == 'Z' || text[i] == 'z') || rest == 0 && loose {
		return 0, true
	}
	var hours, minutes uint
	switch {
	case rest == 6 && text[i+3] == ':':
		hours, minutes = twoDigits(text, i+1), twoDigits(text, i+4)
	case rest == 5:
		hours, minutes = twoDigits(text, i+1), twoDigits(text, i+3)
	default:
		return 0, false
	}
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	seconds := int64(hours)*3600 + int64(minutes)*60
	switch c := text[i]; {
	case c == '+' || c == ' ' && loose:
		return seconds, true
	case c == '-':
		return -seconds, true
	}
	return 0, false
}

// daysIn returns the number of days of a month of the Gregorian calendar.
func daysIn(year, month uint) uint {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSinceEpoch counts the days from 1970-01-01 to a date of the Gregorian calendar. Years are
// taken to begin in March, so that the leap day is the last and the months before it follow one
// formula.
func daysSinceEpoch(year, month, day uint) int64 {
	y, m := int64(year), int64(month)
	if m <= 2 {
		y--
		m += 12
	}
	leapDays := y/4 - y/100 + y/400
	if y < 0 {
		leapDays = -1 // of the year 0 only January and February reach here
	}
	return 365*y + leapDays + (153*(m-3)+2)/5 + int64(day) - 719469
}
