package decode

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"lastseen/schema"
)

// position is what an app says of a place and a time, in the units of the ingest route. What is not
// known is NaN.
type position struct {
	device              string
	timestamp           int64 // Unix milliseconds
	timed               bool
	latitude, longitude float64
	altitude, accuracy  float64 // metres
	speed               float64 // metres a second
	heading             float64 // degrees
	temperature         float64 // degrees Celsius
	battery             float64 // 0 to 1
}

var unknown = math.NaN()

// knownNothing is a position of which nothing is known.
func knownNothing(device string) position {
	return position{
		device: device, latitude: unknown, longitude: unknown, altitude: unknown, accuracy: unknown,
		speed: unknown, heading: unknown, temperature: unknown, battery: unknown,
	}
}

// point returns the position as a point without its session, or a sentence on why it is none. Optional
// values out of their ranges are left out and counted in the batch.
func (p *position) point(now int64, batch *Batch) (schema.DataPoint, string) {
	switch {
	case !(math.Abs(p.latitude) <= 90 && math.Abs(p.longitude) <= 180):
		return schema.DataPoint{}, detailAppPlace
	case p.latitude == 0 && p.longitude == 0:
		return schema.DataPoint{}, detailNullIsland
	case !p.timed:
		return schema.DataPoint{}, detailAppTime
	}
	at, rolled := Unrolled(p.timestamp, now)
	if rolled {
		batch.Rolled++
	}
	if at < earliestTimestamp {
		return schema.DataPoint{}, DetailTooOld
	}
	point := schema.NewDataPoint(schema.ID{}, at, int32(math.Round(p.latitude*1e7)), int32(math.Round(p.longitude*1e7)))
	within := func(value, least, most float64) bool {
		if math.IsNaN(value) {
			return false
		}
		if value < least || value > most {
			batch.Dropped++
			return false
		}
		return true
	}
	if within(p.altitude, -12_000, 100_000) {
		point.Altitude = int32(math.Round(p.altitude * 10))
	}
	if within(p.accuracy, 0, 1e7) {
		point.Accuracy = uint32(math.Round(p.accuracy * 10))
	}
	if within(p.speed, 0, 650) {
		point.Speed = uint16(math.Round(p.speed * 100))
	}
	if within(p.heading, 0, 360) {
		point.Heading = uint16(int(math.Round(p.heading*10)) % 3600) // 360 degrees is north again
	}
	if within(p.temperature, -273.15, 10_000) {
		point.Temperature = float32(p.temperature) + 0 // -0 and 0 are one temperature
	}
	if within(p.battery, 0, 1) {
		point.Battery = uint16(math.Round(p.battery * 1e4))
	}
	return point, ""
}

const (
	day         = int64(24 * 3600 * 1000) // milliseconds
	rolloverEra = 1024 * 7 * day          // after which a GPS receiver's count of weeks begins again
	rolloverOff = day                     // how late or early such a point may be
)

// Unrolled corrects the time of a receiver whose count of weeks began again: one that lies 1,024 or
// 2,048 weeks before its arrival, to the day. Times are Unix milliseconds.
func Unrolled(at, now int64) (corrected int64, rolled bool) {
	for _, eras := range []int64{1, 2} {
		if late := now - (at + eras*rolloverEra); late >= -rolloverOff && late <= rolloverOff {
			return at + eras*rolloverEra, true
		}
	}
	return at, false
}

// loose is a number as apps write it: a JSON number, the text of one, or anything else for "unknown".
type loose float64

// UnmarshalJSON implements json.Unmarshaler, and never fails.
func (l *loose) UnmarshalJSON(text []byte) error {
	*l = loose(looseNumber(string(bytes.Trim(text, `"`))))
	return nil
}

// looseText is a text as apps write it: a JSON string, or a number that is meant as one. Anything else is empty.
type looseText string

// UnmarshalJSON implements json.Unmarshaler, and never fails.
func (l *looseText) UnmarshalJSON(text []byte) error {
	var unquoted string
	switch {
	case json.Unmarshal(text, &unquoted) == nil:
		*l = looseText(unquoted)
	case text[0] == '-' || '0' <= text[0] && text[0] <= '9':
		*l = looseText(text)
	default:
		*l = ""
	}
	return nil
}

// value is the number, or NaN where there is none.
func (l *loose) value() float64 {
	if l == nil {
		return unknown
	}
	return float64(*l)
}

// looseNumber reads a number, and returns NaN for what is none.
func looseNumber(text string) float64 {
	number, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsInf(number, 0) {
		return unknown
	}
	return number
}

// unlessNegative is a number of an app that says -1 for what it does not know.
func unlessNegative(number float64) float64 {
	if number < 0 {
		return unknown
	}
	return number
}

// unlessZero is a number of an app that says 0 for what it does not know.
func unlessZero(number float64) float64 {
	if number == 0 {
		return unknown
	}
	return number
}

// knots are metres a second.
const knots = 1852.0 / 3600
