// Package trackfile reads positions out of the files in which people keep them: CSV, NDJSON, JSON
// arrays, GPX and GeoJSON, each also compressed with gzip. It streams: memory does not grow with the
// file, and a bad row does not stop the rows after it.
package trackfile

import (
	"fmt"
	"math"
)

// Fix is one position as a file tells it, in the units of the ingest route.
type Fix struct {
	Place Place
	// Device is the device's name, never empty. Session is the session_id column, mostly empty.
	Device, Session     string
	Timestamp           int64   // Unix milliseconds
	Latitude, Longitude float64 // degrees, finite, not checked against their ranges

	// What follows is NaN where the file does not say it.
	Altitude    float64 // metres
	Accuracy    float64 // metres
	Speed       float64 // metres a second
	Heading     float64 // degrees
	Temperature float64 // degrees Celsius
	Battery     float64 // 0 to 1
}

// Place says where in its file something stands.
type Place struct {
	Line int // from 1
	// Part counts the points of a line string from 1, which may all stand on one line; 0 elsewhere.
	Part int
}

// String returns the place as the end of a "file:line" reference.
func (p Place) String() string {
	if p.Part > 0 {
		return fmt.Sprintf("%d (point %d)", p.Line, p.Part)
	}
	return fmt.Sprint(p.Line)
}

// RowError says why one row gave no fix. The rows after it are still read.
type RowError struct {
	Place  Place
	Detail string // a sentence without the place
}

// Error implements error.
func (e *RowError) Error() string {
	return fmt.Sprintf("line %s: %s", e.Place, e.Detail)
}

// record is a row of any format: names and values side by side, where an empty value is one that is
// not known.
type record struct {
	place  Place
	names  []string
	values []string
}

func (r *record) reset(place Place) {
	r.place, r.names, r.values = place, r.names[:0], r.values[:0]
}

func (r *record) add(name, value string) {
	r.names, r.values = append(r.names, name), append(r.values, value)
}

// absent is how a Fix says that an optional value is not known.
var absent = math.NaN()
