package traffic

import "time"

// stampLength is the length of a timestamp with milliseconds, such as 2026-01-15T09:30:00.120Z.
const stampLength = len("2006-01-02T15:04:05.000Z")

// stamper writes timestamps with milliseconds. It keeps the text of the last second, since a load
// writes many timestamps of one second. One goroutine uses it.
type stamper struct {
	second int64
	text   [stampLength]byte
}

// put writes a time (Unix milliseconds, not before 1970) over the first stampLength bytes of b.
func (s *stamper) put(b []byte, ms int64) {
	if second := ms / 1000; second != s.second || s.text[0] == 0 {
		s.second = second
		copy(s.text[:], time.Unix(second, 0).UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	rest := ms % 1000
	s.text[20], s.text[21], s.text[22] = '0'+byte(rest/100), '0'+byte(rest/10%10), '0'+byte(rest%10)
	copy(b, s.text[:])
}

// parseStamp reads a timestamp of the API, with or without a fraction, as Unix milliseconds. It
// checks only what it needs: a load reads one in every answer.
func parseStamp(b []byte) (int64, bool) {
	if len(b) < len("2006-01-02T15:04:05Z") {
		return 0, false
	}
	year, ok1 := digits(b[0:4])
	month, ok2 := digits(b[5:7])
	day, ok3 := digits(b[8:10])
	hour, ok4 := digits(b[11:13])
	minute, ok5 := digits(b[14:16])
	second, ok6 := digits(b[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || month < 1 || month > 12 {
		return 0, false
	}
	ms := ((daysSince1970(year, month, day)*24+hour)*60+minute)*60 + second
	ms *= 1000
	if b[19] == 'Z' {
		return ms, true
	}
	fraction, ok := milliseconds(b[19:])
	return ms + fraction, ok
}

// milliseconds reads a fraction of a second such as .12Z or .120345Z, cut to milliseconds: other
// services write as many digits as they like.
func milliseconds(b []byte) (ms int64, ok bool) {
	if b[0] != '.' {
		return 0, false
	}
	unit := int64(100)
	for i, c := range b[1:min(len(b), 11)] {
		switch {
		case c == 'Z':
			return ms, i > 0
		case c < '0' || c > '9':
			return 0, false
		}
		ms += int64(c-'0') * unit
		unit /= 10
	}
	return 0, false
}

func digits(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// daysSince1970 counts days in the Gregorian calendar, after Howard Hinnant's days_from_civil.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	yearOfEra := year - era*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return era*146097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719468
}
