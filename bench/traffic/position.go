package traffic

import (
	"bytes"
	"fmt"
	"time"
)

// Where a point lies that a load writes follows from its timestamp, so that every answer can be held against it: one
// that has the time of one point and the place of another is wrong.

// perDegree is how many of the units of a position make a degree.
const perDegree = 10_000_000

// positionAt is where a point with a timestamp (Unix milliseconds) lies: in 47 to 48 degrees north and 8 to 9 degrees
// east, in 1e-7 degrees from there.
func positionAt(timestamp int64) (north, east int) {
	mixed := uint64(timestamp) * 0x9e3779b97f4a7c15
	return int(mixed >> 40 % perDegree), int(mixed >> 16 & 0xffffff % perDegree)
}

const degreesNorth, degreesEast = 47, 8

// Point is a point of a session as it is sent in JSON; the timestamp is in Unix milliseconds.
func Point(id []byte, timestamp int64) map[string]any {
	north, east := positionAt(timestamp)
	return map[string]any{
		"session_id": string(id), "timestamp": time.UnixMilli(timestamp).UTC().Format("2006-01-02T15:04:05.000Z"),
		"latitude": float64(degreesNorth*perDegree+north) / perDegree, "longitude": float64(degreesEast*perDegree+east) / perDegree,
	}
}

// pointTemplate is a line of an ingest body. All its values have a fixed width, so that what changes
// is written over it.
const pointTemplate = `{"session_id":"000000000000000000000000","timestamp":"2006-01-02T15:04:05.000Z","latitude":47.3700000,"longitude":8.5400000,"altitude":430.5,"accuracy":4.5,"speed":12.34,"heading":123.4,"temperature":4.5,"battery":0.93}` + "\n"

// PointLength is the length of what a Pen writes for a point.
const PointLength = len(pointTemplate)

var (
	pointSessionAt   = bytes.Index([]byte(pointTemplate), []byte("0000"))
	pointStampAt     = bytes.Index([]byte(pointTemplate), []byte("2006"))
	pointLatitudeAt  = bytes.Index([]byte(pointTemplate), []byte("47.37")) + len("47.")
	pointLongitudeAt = bytes.Index([]byte(pointTemplate), []byte("8.54")) + len("8.")
)

// Pen writes lines of ingest bodies. One goroutine uses it.
type Pen struct{ stamp stamper }

// Append appends the line of a point of a session, of PointLength; the timestamp is in Unix milliseconds.
func (p *Pen) Append(b, id []byte, timestamp int64) []byte {
	b = append(b, pointTemplate...)
	line := b[len(b)-len(pointTemplate):]
	copy(line[pointSessionAt:], id)
	p.stamp.put(line[pointStampAt:], timestamp)
	north, east := positionAt(timestamp)
	putDigits(line[pointLatitudeAt:][:7], north)
	putDigits(line[pointLongitudeAt:][:7], east)
	return b
}

// putDigits fills b with the last digits of n.
func putDigits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = '0' + byte(n%10)
		n /= 10
	}
}

var coordinatesField = []byte(`"coordinates":[`)

// checkPosition checks that an answer that has a timestamp of a load's point has its place too.
func checkPosition(body []byte, timestamp int64) error {
	_, rest, _ := bytes.Cut(body, coordinatesField)
	longitude, rest, ok1 := degrees(rest)
	latitude, _, ok2 := degrees(rest)
	north, east := positionAt(timestamp)
	if !ok1 || !ok2 || latitude != degreesNorth*perDegree+north || longitude != degreesEast*perDegree+east {
		return fmt.Errorf("the answer has the time of one point and the place of another: at %d (Unix ms) it was at %d.%07d, %d.%07d: %.600s",
			timestamp, degreesEast, east, degreesNorth, north, body)
	}
	return nil
}

// degrees reads a number that is not negative and has at most seven decimals, in 1e-7, and skips what follows it.
func degrees(b []byte) (n int, rest []byte, ok bool) {
	unit := 0 // of the last decimal; 0 before the point
	for i, c := range b {
		switch {
		case c == '.' && unit == 0:
			unit = perDegree
		case c < '0' || c > '9':
			if unit == 0 {
				return n * perDegree, b[i+1:], i > 0
			}
			return n * unit, b[i+1:], i > 0
		default:
			n = n*10 + int(c-'0')
			unit /= 10
		}
	}
	return 0, nil, false
}
