package trackfile

import (
	"fmt"
	"math"
	"strconv"
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
	// Member is the file's name inside an archive, and empty elsewhere.
	Member string
	// Line counts from 1; in a binary file it counts the messages.
	Line int
	// Part counts the points of a line string from 1, which may all stand on one line; 0 elsewhere.
	Part int
}

// String returns the place as the end of a "file:line" reference.
func (p Place) String() string {
	text := strconv.Itoa(p.Line)
	if p.Part > 0 {
		text = fmt.Sprintf("%s (point %d)", text, p.Part)
	}
	if p.Member != "" {
		text = printable(p.Member) + ":" + text
	}
	return text
}

// RowError says why one row gave no fix. The rows after it are still read.
type RowError struct {
	Place  Place
	Detail string // a sentence without the place, which any terminal can show
}

// Error implements error.
func (e *RowError) Error() string {
	return fmt.Sprintf("line %s: %s", e.Place, e.Detail)
}

// record is a row of any format: names and values side by side, where an empty value is one that is
// not known.
type record struct {
	place  Place
	logger *logger // whose names and units the columns have, or nil
	names  []string
	values []string
}

func (r *record) add(name, value string) {
	r.names, r.values = append(r.names, name), append(r.values, value)
}

// absent is how a Fix says that an optional value is not known.
var absent = math.NaN()
