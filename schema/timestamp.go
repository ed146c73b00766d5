package schema

// ParseTimestamp reads an instant and returns it as Unix milliseconds; what is finer is cut off towards
// the past. It takes everything that RFC 3339 and ISO 8601 have for an instant: small "t" and "z", a
// space for the "T", a comma before the fraction, the offsets Z, +hh:mm, +hhmm and +hh, the basic forms
// without separators, ordinal and week dates, times to the minute, 24:00; and Unix time as a number, of
// seconds below 1e11 (the year 5138) and of milliseconds from there on. The leap second 23:59:60 UTC is
// the second after it. Years 0000 to 9999.
//
// A time without an offset is refused, since nobody knows where its device's clock was set. It returns
// false for any other text; TimestampProblem says what is wrong with it.
func ParseTimestamp[T string | []byte](text T) (int64, bool) {
	if ms, ok := parseExtended(text); ok {
		return ms, true
	}
	if ms, ok := parseUnixByMagnitude(text); ok {
		return ms, true
	}
	return parseISO(string(text[:min(len(text), maxISO+1)]), nil)
}

// parseExtended reads the form in which nearly all times are written, without an allocation.
func parseExtended[T string | []byte](text T) (int64, bool) {
	// 2026-01-15T09:30:00Z is the shortest form.
	if len(text) < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':' {
		return 0, false
	}
	if c := text[10]; c != 'T' && c != 't' && c != ' ' {
		return 0, false
	}
	century, year := twoDigits(text, 0), twoDigits(text, 2)
	month, day := twoDigits(text, 5), twoDigits(text, 8)
	hour, minute, second := twoDigits(text, 11), twoDigits(text, 14), twoDigits(text, 17)
	// Something that is no digit shows as a number above 99.
	if max(century, year) > 99 || month-1 > 11 || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	year += 100 * century
	if day-1 >= daysIn(year, month) {
		return 0, false
	}
	fraction, end, ok := milliseconds(text, 19)
	if !ok {
		return 0, false
	}
	offset, ok := offsetSeconds(text, end)
	if !ok {
		return 0, false
	}
	seconds := daysSinceEpoch(year, month, day)*86400 + int64(hour)*3600 + int64(minute)*60 + int64(second) - offset
	if second == 60 && seconds%86400 != 0 {
		return 0, false // no leap second: those come before midnight UTC
	}
	return seconds*1000 + fraction, true
}

// twoDigits reads the two digits at i, and returns more than 99 when they are none.
func twoDigits[T string | []byte](text T, i int) uint {
	tens, ones := uint(text[i]-'0'), uint(text[i+1]-'0')
	if tens > 9 || ones > 9 {
		return 100
	}
	return 10*tens + ones
}

// milliseconds reads the fraction of a second at i, if there is one, and returns where it ends.
func milliseconds[T string | []byte](text T, i int) (ms int64, end int, ok bool) {
	if text[i] != '.' && text[i] != ',' {
		return 0, i, true
	}
	i++
	start := i
	for weight := int64(100); i < len(text) && text[i]-'0' <= 9; i++ {
		ms += weight * int64(text[i]-'0')
		weight /= 10
	}
	return ms, i, i > start
}

// offsetSeconds reads the offset from UTC, which is the rest of the text from i.
func offsetSeconds[T string | []byte](text T, i int) (int64, bool) {
	rest := len(text) - i
	if rest == 1 && (text[i] == 'Z' || text[i] == 'z') {
		return 0, true
	}
	var hours, minutes uint
	switch {
	case rest == 6 && text[i+3] == ':':
		hours, minutes = twoDigits(text, i+1), twoDigits(text, i+4)
	case rest == 5:
		hours, minutes = twoDigits(text, i+1), twoDigits(text, i+3)
	case rest == 3:
		hours = twoDigits(text, i+1)
	default:
		return 0, false
	}
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	seconds := int64(hours)*3600 + int64(minutes)*60
	switch text[i] {
	case '+':
		return seconds, true
	case '-':
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
