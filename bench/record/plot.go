package record

import (
	"fmt"
	"math"
	"strings"
)

// The plot's size and margins, in pixels.
const (
	plotWidth, plotHeight  = 860, 460
	plotLeft, plotRight    = 80, 200
	plotTop, plotBottom    = 40, 60
	smallestPlottedLatency = 1e4 // ns
)

// plotColours are told apart by people who see colours differently (Okabe and Ito), and are legible on
// white, which the plot brings with it.
var plotColours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// quantileLines are the quantiles that are drawn, each in its own kind of line.
var quantileLines = []struct {
	name, dashes string
	value        func(CurvePoint) int64
}{
	{"p50", "2 3", func(p CurvePoint) int64 { return p.P50 }},
	{"p99", "", func(p CurvePoint) int64 { return p.P99 }},
	{"p99.9", "7 3", func(p CurvePoint) int64 { return p.P999 }},
}

// axis maps values to pixels by their logarithm.
type axis struct {
	low, high    float64 // values
	start, pixel float64 // where low is, and how many pixels a factor of ten takes (negative: upwards)
}

func newAxis(low, high, start, end float64) axis {
	low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	return axis{low, high, start, (end - start) / math.Log10(high/low)}
}

func (a axis) at(value float64) float64 {
	return a.start + a.pixel*math.Log10(math.Min(math.Max(value, a.low), a.high)/a.low)
}

// plot draws latency against load as SVG, both logarithmic: services lie orders of magnitude apart.
func plot(curves []Curve) string {
	x, y := axes(curves)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img" aria-label="Latency against load">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<text x="%d" y="22" font-size="14" fill="#222222">last_seen: latency against load, open loop, from when a request was due</text>`+"\n", plotLeft)
	drawGrid(&b, x, y)
	for i, curve := range curves {
		colour := plotColours[i%len(plotColours)]
		for _, line := range quantileLines {
			var points []string
			for _, p := range curve.Points {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x.at(p.Offered), y.at(float64(line.value(p)))))
			}
			fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.8" stroke-dasharray="%s" points="%s"/>`+"\n", colour, line.dashes, strings.Join(points, " "))
		}
		at := plotTop + 20 + 22*i
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="3"/><text x="%d" y="%d" fill="#222222">%s</text>`+"\n",
			plotWidth-plotRight+16, at-4, plotWidth-plotRight+40, at-4, colour, plotWidth-plotRight+46, at, curve.Name)
	}
	for i, line := range quantileLines {
		at := plotTop + 40 + 22*(len(curves)+i)
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#444444" stroke-width="1.8" stroke-dasharray="%s"/><text x="%d" y="%d" fill="#222222">%s</text>`+"\n",
			plotWidth-plotRight+16, at-4, plotWidth-plotRight+40, at-4, line.dashes, plotWidth-plotRight+46, at, line.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// axes span all points of all curves.
func axes(curves []Curve) (x, y axis) {
	lowX, highX, lowY, highY := math.Inf(1), 10.0, math.Inf(1), 1e6
	for _, curve := range curves {
		for _, p := range curve.Points {
			lowX, highX = math.Min(lowX, p.Offered), math.Max(highX, p.Offered)
			lowY, highY = math.Min(lowY, float64(p.P50)), math.Max(highY, float64(p.P999))
		}
	}
	x = newAxis(math.Min(math.Max(lowX, 1), highX/10), highX, plotLeft, plotWidth-plotRight)
	return x, newAxis(math.Max(math.Min(lowY, highY/10), smallestPlottedLatency), highY, plotHeight-plotBottom, plotTop)
}

// drawGrid draws a line for every power of ten, and names it.
func drawGrid(b *strings.Builder, x, y axis) {
	for v := x.low; v <= x.high*1.001; v *= 10 {
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/><text x="%.1f" y="%d" text-anchor="middle" fill="#444444">%s</text>`+"\n",
			x.at(v), plotTop, x.at(v), plotHeight-plotBottom, x.at(v), plotHeight-plotBottom+18, Thousands(v))
	}
	for v := y.low; v <= y.high*1.001; v *= 10 {
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#dddddd"/><text x="%d" y="%.1f" text-anchor="end" fill="#444444">%s</text>`+"\n",
			plotLeft, y.at(v), plotWidth-plotRight, y.at(v), plotLeft-8, y.at(v)+4, wholeSpan(v))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="#222222">requests a second that were due</text>`+"\n", (plotLeft+plotWidth-plotRight)/2, plotHeight-16)
}

// wholeSpan writes a power of ten of nanoseconds.
func wholeSpan(ns float64) string {
	switch {
	case ns < 0.99e6:
		return fmt.Sprintf("%.0f µs", ns/1e3)
	case ns < 0.99e9:
		return fmt.Sprintf("%.0f ms", ns/1e6)
	}
	return fmt.Sprintf("%.0f s", ns/1e9)
}
