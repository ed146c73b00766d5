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

func appendTwoDigits(dst []byte, n int64) []byte {
	return append(dst, twoDigits[2*n], twoDigits[2*n+1])
}

// powersOfTen up to the largest number of decimals in use.
var powersOfTen = [...]int64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000}

// appendDecimal appends value / 10^decimals exactly, without zeros at its end.
func appendDecimal(dst []byte, value int64, decimals int) []byte {
	if value < 0 {
		dst, value = append(dst, '-'), -value
	}
	unit := powersOfTen[decimals]
	dst = strconv.AppendInt(dst, value/unit, 10)
	rest := value % unit
	if rest == 0 {
		return dst
	}
	for rest%10 == 0 {
		rest, decimals = rest/10, decimals-1
	}
	dst = append(dst, ".00000000"[:decimals+1]...)
	for at := len(dst) - 1; rest > 0; at-- {
		dst[at] = byte('0' + rest%10)
		rest /= 10
	}
	return dst
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
	dst = append(dst, '"')
	dst = appendTwoDigits(dst, year/100)
	dst = appendTwoDigits(dst, year%100)
	dst = append(dst, '-')
	dst = appendTwoDigits(dst, month)
	dst = append(dst, '-')
	dst = appendTwoDigits(dst, monthDay)
	seconds, millis := rest/secondMillis, rest%secondMillis
	dst = append(dst, 'T')
	dst = appendTwoDigits(dst, seconds/3600)
	dst = append(dst, ':')
	dst = appendTwoDigits(dst, seconds/60%60)
	dst = append(dst, ':')
	dst = appendTwoDigits(dst, seconds%60)
	if millis != 0 {
		dst = append(dst, '.', byte('0'+millis/100))
		dst = appendTwoDigits(dst, millis%100)
	}
	return append(dst, 'Z', '"')
}

// civil turns days since 1970-01-01 into a date of the Gregorian calendar. It counts from March, so
// that the leap day is the year's last, in cycles of 400 years (Hinnant, "chrono-Compatible Low-Level
// Date Algorithms").
func civil(day int64) (year, month, monthDay int64) {
	day += 719468 // 0000-03-01
	era := day / 146097
	if day < 0 {
		era = (day - 146096) / 146097
	}
	ofEra := day - era*146097
	yearOfEra := (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := ofEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	marchMonth := (5*ofYear + 2) / 153
	monthDay = ofYear - (153*marchMonth+2)/5 + 1
	month = marchMonth + 3
	year = yearOfEra + era*400
	if month > 12 {
		month, year = month-12, year+1
	}
	return year, month, monthDay
}
