package decode

// decimal is a JSON number counted in some small unit, and cut off towards zero. It is exact
// whatever the number's length, which a float64 is not: 0.00000005 degrees lies just below the half
// of a unit as a float64, and would be rounded down.
type decimal struct {
	units    uint64 // saturates at maxUnits
	negative bool
	rest     bool // something other than zero was cut off
	roundUp  bool // what was cut off is half a unit or more
}

// maxUnits is far beyond every limit that a number is compared with.
const maxUnits = 1e18

// parseDecimal reads a number that follows the JSON grammar, in units of 10^-scale.
func parseDecimal(number []byte, scale int) decimal {
	var d decimal
	if number[0] == '-' {
		d.negative = true
		number = number[1:]
	}
	mantissa, whole, exponent := splitNumber(number)
	// keep is how many of the mantissa's digits count whole units; it may be negative, or more
	// than there are.
	keep := whole + exponent + scale
	place := 0
	for _, c := range mantissa {
		if c == '.' {
			continue
		}
		digit := c - '0'
		switch {
		case place < keep:
			d.units = min(d.units*10+uint64(digit), maxUnits)
		case place == keep:
			d.roundUp = digit >= 5
			fallthrough
		default:
			d.rest = d.rest || digit != 0
		}
		place++
	}
	for ; place < keep && d.units > 0 && d.units < maxUnits; place++ {
		d.units = min(d.units*10, maxUnits)
	}
	return d
}

// splitNumber returns a number's digits with their point, how many of them stand before the point,
// and its exponent.
func splitNumber(number []byte) (mantissa []byte, whole, exponent int) {
	whole = -1
	mantissa = number
	for i, c := range number {
		switch c {
		case '.':
			whole = i
		case 'e', 'E':
			mantissa = number[:i]
			exponent = parseExponent(number[i+1:])
		default:
			continue
		}
		if c != '.' {
			break
		}
	}
	if whole < 0 {
		whole = len(mantissa)
	}
	return mantissa, whole, exponent
}

// parseExponent saturates where no mantissa of a body's size could make up for it.
func parseExponent(text []byte) int {
	const limit = 1 << 40
	negative := text[0] == '-'
	if negative || text[0] == '+' {
		text = text[1:]
	}
	exponent := 0
	for _, c := range text {
		exponent = min(exponent*10+int(c-'0'), limit)
	}
	if negative {
		return -exponent
	}
	return exponent
}

// within returns the number rounded to the nearest unit, halves away from zero, and whether the
// number itself lies between -below and above.
func (d decimal) within(below, above uint64) (int64, bool) {
	limit := above
	if d.negative {
		limit = below
	}
	if d.units > limit || d.units == limit && d.rest {
		return 0, false
	}
	units := int64(d.units)
	if d.roundUp {
		units++
	}
	if d.negative {
		units = -units
	}
	return units, true
}
