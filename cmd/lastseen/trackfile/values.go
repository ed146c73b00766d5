package trackfile

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// fix makes a Fix of a record. device names the device when the record does not.
func (r *resolver) fix(rec *record, device string) (Fix, error) {
	var values, columns [fields]string
	var rank [fields]int
	for i, name := range rec.names {
		value := strings.TrimSpace(rec.values[i])
		t := r.target(name)
		if !t.ok || value == "" {
			continue
		}
		if values[t.field] != "" && (rank[t.field] < t.rank || rank[t.field] == t.rank && columns[t.field] < name) {
			continue // a better column has it; of Lat and lat the first by name, for an object has no order
		}
		values[t.field], columns[t.field], rank[t.field] = value, name, t.rank
	}
	fix := Fix{Place: rec.place, Device: values[fieldDevice], Session: values[fieldSession]}
	if fix.Device == "" {
		fix.Device = device
	}
	rowError := func(f field, detail string) error {
		name := fieldSpecs[f].name
		if columns[f] != "" && columns[f] != name {
			name += " (column " + columns[f] + ")"
		}
		return &RowError{Place: rec.place, Detail: "the " + name + " " + detail}
	}
	if values[fieldTimestamp] == "" {
		return Fix{}, rowError(fieldTimestamp, "is missing")
	}
	timestamp, err := r.timestamp(values[fieldTimestamp])
	if err != nil {
		return Fix{}, rowError(fieldTimestamp, err.Error())
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
		number, err := r.number(field(f), values[f])
		if err != nil {
			return Fix{}, rowError(field(f), err.Error())
		}
		if math.IsNaN(number) && field(f) <= fieldLongitude {
			return Fix{}, rowError(field(f), "is missing")
		}
		*into = number
	}
	if fix.Heading == 360 {
		fix.Heading = 0 // many receivers call north 360
	}
	return fix, nil
}

// number reads a number in the field's unit; an empty text, and NaN, which data frames write for what
// they do not know, is absent.
func (r *resolver) number(f field, text string) (float64, error) {
	if text == "" || strings.EqualFold(text, "nan") {
		return absent, nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(number, 0) {
		return 0, fmt.Errorf("%s is not a number", quote(text))
	}
	if u, ok := r.mapping.units[f]; ok {
		number = number*u.scale + u.offset
	}
	return number, nil
}

// timeLayouts are read as UTC where they say no zone. Parse accepts fractions of a second with each.
var timeLayouts = []string{
	time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05",
}

// Timestamps beyond these are not in the four-digit years that RFC 3339 can write.
var (
	minTimestamp = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	maxTimestamp = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() - 1
)

// timestamp reads a time into Unix milliseconds. A number without a named unit is seconds below 1e11
// (the year 5138) and milliseconds from there on.
func (r *resolver) timestamp(text string) (int64, error) {
	u, named := r.mapping.units[fieldTimestamp]
	if !named {
		for _, layout := range timeLayouts {
			if t, err := time.Parse(layout, text); err == nil {
				return checkTimestamp(t.Round(time.Millisecond).UnixMilli(), text)
			}
		}
		u = times["s"]
	}
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil && u.scale < 1 {
		// Micro- and nanoseconds do not fit a float64's 53 bits.
		return checkTimestamp(whole/int64(math.Round(1/u.scale)), text)
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
		return 0, fmt.Errorf("%s is not a time such as 2026-01-15T09:30:00Z, 2026-01-15 09:30:00 (UTC) or Unix seconds or milliseconds", quote(text))
	}
	if !named && math.Abs(number) >= 1e11 {
		u = times["ms"]
	}
	number = math.Round(number * u.scale)
	if math.Abs(number) > float64(maxTimestamp) {
		return 0, outOfTime(text)
	}
	return checkTimestamp(int64(number), text)
}

func checkTimestamp(ms int64, text string) (int64, error) {
	if ms < minTimestamp || ms > maxTimestamp {
		return 0, outOfTime(text)
	}
	return ms, nil
}

func outOfTime(text string) error {
	return fmt.Errorf("%s is not in the years 1 to 9999", quote(text))
}

// quote quotes a value for a message, cut when it is long.
func quote(text string) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}
