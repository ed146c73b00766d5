package wire

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

// appendMillis appends a number, which is quick for one of 13 digits, as Unix milliseconds from 2001 to 2286 are.
func appendMillis(dst []byte, value int64) []byte {
	if value < 1e12 || value >= 1e13 {
		return strconv.AppendInt(dst, value, 10)
	}
	dst = append(dst, "0000000000000"...)
	text := dst[len(dst)-13:]
	high, low := uint32(value/1e8), uint32(value%1e8)
	text[0] = byte('0' + high/10000)
	putTwoDigits(text[1:], high/100%100)
	putTwoDigits(text[3:], high%100)
	high, low = low/10000, low%10000
	putTwoDigits(text[5:], high/100)
	putTwoDigits(text[7:], high%100)
	putTwoDigits(text[9:], low/100)
	putTwoDigits(text[11:], low%100)
	return dst
}

// AppendDecimal appends value / 10^decimals exactly, without zeros at its end; decimals is at most 8.
func AppendDecimal(dst []byte, value int64, decimals int) []byte {
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

// appendDegrees is AppendDecimal of a coordinate, in units of 1e-7 degree.
func appendDegrees(dst []byte, value int32) []byte {
	size := uint32(value)
	if value < 0 {
		dst, size = append(dst, '-'), -size
	}
	whole, rest := size/1e7, size%1e7
	dst = appendSmall(dst, whole)
	if rest == 0 {
		return dst
	}
	dst = append(dst, ".0000000"...)
	text := dst[len(dst)-8:]
	high, low := rest/1000, rest%1000
	putTwoDigits(text[1:], high/100)
	putTwoDigits(text[3:], high%100)
	putTwoDigits(text[5:], low/10)
	text[7] = byte('0' + low%10)
	end := len(dst)
	for dst[end-1] == '0' {
		end--
	}
	return dst[:end]
}

// appendTenths is AppendDecimal with one decimal.
func appendTenths(dst []byte, value uint32) []byte {
	dst = appendSmall(dst, value/10)
	if tenth := value % 10; tenth != 0 {
		dst = append(dst, '.', byte('0'+tenth))
	}
	return dst
}

// appendHundredths is AppendDecimal with two decimals.
func appendHundredths(dst []byte, value uint32) []byte {
	dst = appendSmall(dst, value/100)
	rest := value % 100
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.', twoDigits[2*rest], twoDigits[2*rest+1])
	if dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendSmall appends a number, which is quick for one below 1000.
func appendSmall(dst []byte, value uint32) []byte {
	switch {
	case value < 10:
		return append(dst, byte('0'+value))
	case value < 100:
		return append(dst, twoDigits[2*value], twoDigits[2*value+1])
	case value < 1000:
		rest := value % 100
		return append(dst, byte('0'+value/100), twoDigits[2*rest], twoDigits[2*rest+1])
	}
	return strconv.AppendUint(dst, uint64(value), 10)
}

// AppendTemperature appends the shortest decimal that reads back as the same finite float32.
func AppendTemperature(dst []byte, value float32) []byte {
	// Thermometers tell hundredths at best. A float32 tells any two decimals of up to six digits apart, so the
	// one of hundredths that reads back as value is the shortest that does.
	hundredths := math.Round(float64(value) * 100)
	if math.Abs(hundredths) < 1e6 && float32(hundredths/100) == value && hundredths != 0 {
		if hundredths < 0 {
			dst, hundredths = append(dst, '-'), -hundredths
		}
		return appendHundredths(dst, uint32(hundredths))
	}
	return AppendFloat(dst, float64(value), 32)
}

// AppendFloat appends the shortest decimal that reads back as the same finite float of bits bits.
func AppendFloat(dst []byte, value float64, bits int) []byte {
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

// AppendTime appends a time in quotes: RFC 3339 in UTC with three decimals when there are
// milliseconds. The year must lie in 0 to 9999.
func AppendTime(dst []byte, unixMillis int64) []byte {
	var day dayText
	day.begin(unixMillis)
	return day.append(dst, unixMillis)
}

// dayText appends times, which is quick while they are of one day. The zero value is ready for use.
type dayText struct {
	start int64 // of the day, Unix milliseconds
	text  [len(timeForm)]byte
}

// timeForm is a time whose digits are yet to be written.
const timeForm = `"0000-00-00T00:00:00`

// begin makes the day of a time the one that is known.
func (d *dayText) begin(unixMillis int64) {
	day := unixMillis / dayMillis
	if unixMillis%dayMillis < 0 {
		day--
	}
	year, month, monthDay := civil(day)
	d.start = day * dayMillis
	copy(d.text[:], timeForm)
	putTwoDigits(d.text[1:], year/100)
	putTwoDigits(d.text[3:], year%100)
	putTwoDigits(d.text[6:], month)
	putTwoDigits(d.text[9:], monthDay)
}

// append does what AppendTime does.
func (d *dayText) append(dst []byte, unixMillis int64) []byte {
	if uint64(unixMillis-d.start) >= dayMillis || d.text[0] == 0 {
		d.begin(unixMillis)
	}
	rest := uint32(unixMillis - d.start)
	seconds, millis := rest/secondMillis, rest%secondMillis
	start := len(dst)
	dst = append(dst, d.text[:]...)
	text := dst[start : start+len(d.text)]
	putTwoDigits(text[12:], seconds/3600)
	putTwoDigits(text[15:], seconds/60%60)
	putTwoDigits(text[18:], seconds%60)
	if millis != 0 {
		return append(dst, '.', byte('0'+millis/100), twoDigits[millis%100*2], twoDigits[millis%100*2+1], 'Z', '"')
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
