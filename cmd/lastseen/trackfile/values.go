package trackfile

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// reading is how texts are to be read where they do not say it themselves.
type reading struct {
	decimalComma bool
	zone         *time.Location // of times without one; nil refuses them
}

// cell is a record's best value for a field, and the column that it comes from.
type cell struct {
	text, column string
	target       target
}

// cells picks the best value for each field.
func (r *resolver) cells(rec *record) (cells [fields]cell) {
	for i, name := range rec.names {
		value := strings.TrimSpace(rec.values[i])
		t := r.target(rec.logger, name)
		if !t.ok || value == "" {
			continue
		}
		best := &cells[t.field]
		if best.text != "" && (best.target.rank < t.rank || best.target.rank == t.rank && best.column < name) {
			continue // a better column has it; of Lat and lat the first by name, for an object has no order
		}
		*best = cell{text: value, column: name, target: t}
	}
	return cells
}

// fix makes a Fix of a record. device names the device when the record does not.
func (r *resolver) fix(rec *record, device string) (Fix, error) {
	cells := r.cells(rec)
	fix := Fix{Place: rec.place, Device: cells[fieldDevice].text, Session: cells[fieldSession].text}
	if fix.Device == "" && fix.Session == "" && r.unused != nil {
		r.reportUnused(rec)
	}
	if fix.Device == "" {
		fix.Device = device
	}
	if cells[fieldTimestamp].text == "" {
		return Fix{}, rowError(rec, fieldTimestamp, &cells[fieldTimestamp], "is missing")
	}
	timestamp, err := r.timestamp(rec.logger, &cells[fieldTimestamp], cells[fieldDate].text)
	if err != nil {
		return Fix{}, rowError(rec, fieldTimestamp, &cells[fieldTimestamp], err.Error())
	}
	fix.Timestamp = timestamp
	numbers := [fields]*float64{
		fieldLatitude: &fix.Latitude, fieldLongitude: &fix.Longitude, fieldAltitude: &fix.Altitude, fieldAccuracy: &fix.Accuracy,
		fieldSpeed: &fix.Speed, fieldHeading: &fix.Heading, fieldTemperature: &fix.Temperature, fieldBattery: &fix.Battery,
	}
	for f, into := range numbers {
		if into == nil {
			continue
		}
		number, err := r.number(field(f), &cells[f])
		if err != nil {
			return Fix{}, rowError(rec, field(f), &cells[f], err.Error())
		}
		if math.IsNaN(number) && field(f) <= fieldLongitude {
			return Fix{}, rowError(rec, field(f), &cells[f], "is missing")
		}
		*into = number
	}
	if fix.Heading == 360 {
		fix.Heading = 0 // many receivers call north 360
	}
	return fix, nil
}

func rowError(rec *record, f field, from *cell, detail string) error {
	name := fieldSpecs[f].name
	if from.column != "" && from.column != name {
		name += " (column " + printable(from.column) + ")"
	}
	return &RowError{Place: rec.place, Detail: "the " + name + " " + detail}
}

// number reads a number in the field's unit; an empty text, and NaN, which data frames write for what
// they do not know, is absent.
func (r *resolver) number(f field, c *cell) (float64, error) {
	if c.text == "" || strings.EqualFold(c.text, "nan") {
		return absent, nil
	}
	text, sign := c.text, 1.0
	if f == fieldLatitude || f == fieldLongitude {
		text, sign = hemisphere(text, f)
	}
	text, err := r.reading.decimal(text)
	if err != nil {
		return 0, err
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(number, 0) {
		return 0, fmt.Errorf("%s is not a number", quote(c.text))
	}
	if number *= sign; number == 0 && c.target.zeroUnknown {
		return absent, nil
	}
	if u := c.target.unit; u != nil {
		number = number*u.scale + u.offset
	}
	return number, nil
}

// hemisphere takes the letter off a coordinate such as 47.5N, and returns the sign that it means.
func hemisphere(text string, f field) (plain string, sign float64) {
	positive, negative := "N", "S"
	if f == fieldLongitude {
		positive, negative = "E", "W"
	}
	if plain, ok := strings.CutSuffix(text, positive); ok {
		return strings.TrimSpace(plain), 1
	}
	if plain, ok := strings.CutSuffix(text, negative); ok {
		return strings.TrimSpace(plain), -1
	}
	return text, 1
}

// decimal writes a number with a dot as its decimal mark.
func (r reading) decimal(text string) (string, error) {
	comma := strings.Count(text, ",")
	switch {
	case !r.decimalComma && comma == 1:
		return "", fmt.Errorf("%s is not a number: if the comma is its decimal mark, say so with --decimal-comma", quote(text))
	case r.decimalComma && strings.Contains(text, "."):
		return "", fmt.Errorf("%s has a dot, where --decimal-comma says that the decimal mark is a comma", quote(text))
	case r.decimalComma && comma == 1:
		return strings.Replace(text, ",", ".", 1), nil
	}
	return text, nil
}

// timestamp reads a record's time, which may stand in two columns.
func (r *resolver) timestamp(by *logger, c *cell, date string) (int64, error) {
	zone := r.reading.zone
	if zone == nil && (by != nil && by.utc || strings.Contains(plainName(c.column), "utc")) {
		zone = time.UTC
	}
	text := c.text
	if u := c.target.unit; u != nil {
		return unixTime(text, u)
	}
	if date != "" && isTimeOfDay(text) {
		text = date + " " + text
	}
	if r.reading.decimalComma && strings.Trim(text, "0123456789") == "," {
		text = strings.Replace(text, ",", ".", 1)
	}
	return parseTime(text, zone)
}

// quote quotes a value for a message, cut when it is long.
func quote(text string) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}

// printable is a name as a message can show it: quoted when it has characters that a terminal would act on.
func printable(name string) string {
	const most = 100
	if len(name) <= most && !strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return name
	}
	if len(name) > most {
		return strconv.Quote(name[:most]) + "…"
	}
	return strconv.Quote(name)
}
