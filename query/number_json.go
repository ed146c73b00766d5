package query

import (
	"math"
	"strconv"
)

// twoDigits holds "00" to "99".
const twoDigits = "00010203040506070809101112131415161718192021222324" +
	"25262728293031323334353637383940414243444546474849" +
	"50515253545556575859606162636465666768697071727374" +
	"75767778798081828384858687888990919293949596979899"

// putTwoDigits writes n, 0 to 99, over the first two bytes of dst.
func putTwoDigits(dst []byte, n uint32) {
	_ = dst[1]
	dst[0], dst[1] = twoDigits[2*n], twoDigits[2*n+1]
}

// appendDecimal appends value / 10^decimals exactly, without zeros at its end; decimals is at most 8.
func appendDecimal(dst []byte, value int64, decimals int) []byte {
	size := uint64(value)
	if value < 0 {
		dst, size = append(dst, '-'), -size
	}
	var digits [32]byte
	first, end := len(digits), len(digits)
	for ; size >= 100; size /= 100 {
		first -= 2
		putTwoDigits(digits[first:], uint32(size%100))
	}
	first -= 2
	putTwoDigits(digits[first:], uint32(size))
	point := end - decimals
	for first >= point { // a digit before the point there must be
		first -= 2
		digits[first], digits[first+1] = '0', '0'
	}
	for first < point-1 && digits[first] == '0' {
		first++
	}
	for end > point && digits[end-1] == '0' {
		end--
	}
	dst = append(dst, digits[first:point]...)
	if end > point {
		dst = append(dst, '.')
		dst = append(dst, digits[point:end]...)
	}
	return dst
}

// appendTemperature appends the shortest decimal that reads back as the same finite float32.
func appendTemperature(dst []byte, value float32) []byte {
	// Thermometers tell hundredths at best. A float32 has room for six digits, so no two decimals
	// of so few are the same one, and the one that it is the same as is the shortest.
	hundredths := math.Round(float64(value) * 100)
	if math.Abs(hundredths) < 1e6 && float32(hundredths/100) == value && hundredths != 0 {
		return appendDecimal(dst, int64(hundredths), 2)
	}
	return appendFloat(dst, float64(value), 32)
}

// appendFloat appends the shortest decimal that reads back as the same finite float of bits bits.
func appendFloat(dst []byte, value float64, bits int) []byte {
	format := byte('f')
	if size := math.Abs(value); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, value, format, -1, bits)
}

const (
	secondMillis = 1000
	dayMillis    = 86400 * secondMillis
)

// appendTime appends a time in quotes: RFC 3339 in UTC with three decimals when there are
// milliseconds. The year must lie in 0 to 9999.
func appendTime(dst []byte, unixMillis int64) []byte {
	day, rest := unixMillis/dayMillis, unixMillis%dayMillis
	if rest < 0 {
		day, rest = day-1, rest+dayMillis
	}
	year, month, monthDay := civil(day)
	seconds, millis := uint32(rest)/secondMillis, uint32(rest)%secondMillis
	start := len(dst)
	dst = append(dst, `"0000-00-00T00:00:00`...)
	text := dst[start : start+20]
	putTwoDigits(text[1:], year/100)
	putTwoDigits(text[3:], year%100)
	putTwoDigits(text[6:], month)
	putTwoDigits(text[9:], monthDay)
	putTwoDigits(text[12:], seconds/3600)
	putTwoDigits(text[15:], seconds/60%60)
	putTwoDigits(text[18:], seconds%60)
	if millis != 0 {
		dst = append(dst, '.', byte('0'+millis/100), twoDigits[millis%100*2], twoDigits[millis%100*2+1])
	}
	return append(dst, 'Z', '"')
}

// civil turns days since 1970-01-01, from the year 0 on, into a date of the Gregorian calendar. It
// counts from the first of March, so that the leap day is a year's last (Neri and Schneider,
// "Euclidean affine functions and their application to calendar algorithms", 2023).
func civil(day int64) (year, month, monthDay uint32) {
	const fourCenturies = 146097
	// Days since 0000-03-01, and four centuries more for the year 0's January and February.
	n := uint32(day + 719468 + fourCenturies)
	quarters := 4*n + 3
	century := quarters / fourCenturies
	ofCentury := quarters % fourCenturies / 4
	product := uint64(4*ofCentury+3) * 2939745
	ofYear := uint32(product) / 2939745 / 4
	months := 2141*ofYear + 197913
	year = 100*century + uint32(product>>32) - 400
	month, monthDay = months>>16, months&0xffff/2141+1
	if ofYear >= 306 {
		year, month = year+1, month-12
	}
	return year, month, monthDay
}
