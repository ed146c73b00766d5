package record

import (
	"fmt"
	"strconv"
)

// Thousands writes a number with a comma for every three digits.
func Thousands(n float64) string {
	text := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Span writes nanoseconds in the unit that fits.
func Span(ns float64) string {
	switch {
	case ns < 1e6:
		return fmt.Sprintf("%.0f µs", ns/1e3)
	case ns < 1e8:
		return fmt.Sprintf("%.2f ms", ns/1e6)
	case ns < 1e9:
		return fmt.Sprintf("%.0f ms", ns/1e6)
	}
	return fmt.Sprintf("%.2f s", ns/1e9)
}

// Signed is Span of nanoseconds that may be negative.
func Signed(ns float64) string {
	if ns < 0 {
		return "−" + Span(-ns)
	}
	return Span(ns)
}

// Micros writes microseconds; 0 stands for what could not be measured.
func Micros(n float64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprintf("%.1f µs", n)
}

// Nanos writes nanoseconds as such; 0 stands for what could not be measured.
func Nanos(n float64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprintf("%.0f ns", n)
}

// Times writes a ratio.
func Times(n float64) string {
	if n < 0.1 {
		return fmt.Sprintf("%.4f", n)
	}
	return fmt.Sprintf("%.2f", n)
}

// Percent writes a share of 1 in hundredths.
func Percent(n float64) string { return fmt.Sprintf("%.0f %%", 100*n) }

// Mebibytes writes a number of bytes.
func Mebibytes(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
