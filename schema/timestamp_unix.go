package schema

// unixMilliseconds is the least number that is taken for milliseconds rather than seconds since 1970: as
// seconds it is the year 5138.
const unixMilliseconds = 100_000_000_000

// parseUnixByMagnitude reads seconds or milliseconds since 1970.
func parseUnixByMagnitude[T string | []byte](text T) (int64, bool) {
	ms, ok := ParseUnix(text, 3)
	if ok && (ms >= 1000*unixMilliseconds || ms <= -1000*unixMilliseconds) {
		return ParseUnix(text, 0)
	}
	return ms, ok
}

// ParseUnix reads a number since 1970 into milliseconds: of seconds with 3 decimal places to move the point
// by, of milliseconds with 0, of microseconds with -3, of nanoseconds with -6. What is finer than a
// millisecond is cut off towards the past, exactly. It returns false for what is no decimal number, and
// for one beyond some million years.
func ParseUnix[T string | []byte](text T, places int) (int64, bool) {
	number, negative := text, false
	if len(number) > 0 && (number[0] == '-' || number[0] == '+') {
		number, negative = number[1:], number[0] == '-'
	}
	mantissa, whole, exponent, ok := splitUnix(number)
	if !ok {
		return 0, false
	}
	// keep is how many of the mantissa's digits count whole milliseconds; it may be more than there are.
	keep := whole + exponent + places
	var ms int64
	place, rest := 0, false
	for i := range len(mantissa) {
		c := mantissa[i]
		if c == '.' {
			continue
		}
		if place < keep {
			ms = ms*10 + int64(c-'0')
		} else {
			rest = rest || c != '0'
		}
		if ms > maxUnix {
			return 0, false
		}
		place++
	}
	for ; place < keep && ms > 0; place++ {
		if ms *= 10; ms > maxUnix {
			return 0, false
		}
	}
	if !negative {
		return ms, true
	}
	if rest {
		ms++
	}
	return -ms, true
}

// maxUnix is beyond every time that makes sense, in milliseconds.
const maxUnix = 100_000_000_000_000_000

// splitUnix returns a number's digits with their point, how many of them stand before the point, and
// its exponent.
func splitUnix[T string | []byte](number T) (mantissa T, whole, exponent int, ok bool) {
	end, point := 0, -1
	for ; end < len(number) && (number[end]-'0' <= 9 || number[end] == '.' && point < 0); end++ {
		if number[end] == '.' {
			point = end
		}
	}
	mantissa, whole = number[:end], end
	if point >= 0 {
		whole = point
	}
	if end == 0 || end == 1 && point == 0 {
		return mantissa, 0, 0, false
	}
	if end == len(number) {
		return mantissa, whole, 0, true
	}
	if number[end] != 'e' && number[end] != 'E' {
		return mantissa, 0, 0, false
	}
	power := number[end+1:]
	sign := 1
	if len(power) > 0 && (power[0] == '-' || power[0] == '+') {
		if power[0] == '-' {
			sign = -1
		}
		power = power[1:]
	}
	if len(power) == 0 || len(power) > 4 {
		return mantissa, 0, 0, false
	}
	for i := range len(power) {
		if power[i]-'0' > 9 {
			return mantissa, 0, 0, false
		}
		exponent = exponent*10 + int(power[i]-'0')
	}
	return mantissa, whole, sign * exponent, true
}
