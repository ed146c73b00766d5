package trackfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// field is a property of a Fix that a column can hold.
type field int

const (
	fieldTimestamp field = iota
	fieldLatitude
	fieldLongitude
	fieldAltitude
	fieldAccuracy
	fieldSpeed
	fieldHeading
	fieldTemperature
	fieldBattery
	fieldDevice
	fieldSession
	fieldDate
	fields // how many there are
)

// unit turns a column's number into a Fix's: multiplied by scale, then moved by offset.
type unit struct{ scale, offset float64 }

// fieldSpec is what is known about a field: the columns in which it is looked for, best first, and
// the units that a mapping can name. Units are only ever named, never guessed.
type fieldSpec struct {
	name    string
	columns []string
	units   map[string]unit
}

var (
	lengths = map[string]unit{"m": {1, 0}, "ft": {0.3048, 0}, "km": {1000, 0}}
	speeds  = map[string]unit{"m/s": {1, 0}, "km/h": {1 / 3.6, 0}, "mph": {0.44704, 0}, "kn": {1852.0 / 3600, 0}}
	levels  = map[string]unit{"1": {1, 0}, "%": {0.01, 0}}
	// A timestamp's scale is milliseconds for each unit.
	times = map[string]unit{"s": {1000, 0}, "ms": {1, 0}, "us": {1e-3, 0}, "ns": {1e-6, 0}}
)

var fieldSpecs = [fields]fieldSpec{
	fieldTimestamp: {"timestamp", []string{"timestamp", "time", "datetime", "date_time", "ts", "time_utc", "utc_time", "timestamp_utc", "datetime_utc", "utc",
		"fixtime", "fix_time", "basedatetime", "base_date_time", "timestamp_ms"}, times},
	fieldLatitude:  {"latitude", []string{"latitude", "lat", "location_lat"}, nil},
	fieldLongitude: {"longitude", []string{"longitude", "lon", "lng", "long", "location_long"}, nil},
	fieldAltitude:  {"altitude", []string{"altitude", "alt", "ele", "elevation"}, lengths},
	fieldAccuracy:  {"accuracy", []string{"accuracy", "horizontal_accuracy", "horizontalaccuracy"}, lengths},
	fieldSpeed:     {"speed", []string{"speed", "groundspeed", "ground_speed", "velocity"}, speeds},
	fieldHeading:   {"heading", []string{"heading", "track", "bearing", "course"}, nil},
	fieldTemperature: {"temperature", []string{"temperature", "temp", "atemp"},
		map[string]unit{"C": {1, 0}, "F": {5.0 / 9, -32 * 5.0 / 9}}},
	fieldBattery: {"battery", []string{"battery"}, levels},
	fieldDevice: {"device", []string{"device_mac_address", "device_id", "deviceid", "icao24", "mmsi", "vehicle_id", "vehicleid", "imei", "device",
		"individual_local_identifier"}, nil},
	fieldSession: {"session", []string{"session_id"}, nil},
	fieldDate:    {"date", []string{"date"}, nil},
}

// Mapping says in which columns the fields are, where their well-known names do not, and in which
// units. The zero Mapping goes by the well-known names. It is safe for concurrent use.
type Mapping struct {
	columns map[field]string // empty: the field is in no column
	units   map[field]unit
}

// ParseMapping reads entries of the form field=column or field=column:unit. An empty column says that
// a field is to be left alone; a column whose own name has a colon in it takes another colon at its end.
func ParseMapping(entries []string) (Mapping, error) {
	m := Mapping{columns: map[field]string{}, units: map[field]unit{}}
	for _, entry := range entries {
		name, column, ok := strings.Cut(entry, "=")
		f := slices.IndexFunc(fieldSpecs[:], func(s fieldSpec) bool { return s.name == name })
		if !ok || f < 0 {
			return Mapping{}, fmt.Errorf("the mapping %q must be FIELD=COLUMN[:UNIT] with one of the fields %s", entry, fieldNames())
		}
		if colon := strings.LastIndexByte(column, ':'); colon >= 0 {
			unitName := column[colon+1:]
			u, known := fieldSpecs[f].units[unitName]
			switch {
			case known:
				m.units[field(f)] = u
			case unitName != "":
				return Mapping{}, fmt.Errorf("the mapping %q names a unit that %s does not have; it has %s", entry, name, unitNames(field(f)))
			}
			column = column[:colon]
		}
		for other, taken := range m.columns {
			if taken == column && column != "" && other != field(f) {
				return Mapping{}, fmt.Errorf("the mapping gives the column %q both to %s and to %s", column, fieldSpecs[other].name, name)
			}
		}
		m.columns[field(f)] = column
	}
	return m, nil
}

func fieldNames() string {
	var names []string
	for _, spec := range fieldSpecs {
		names = append(names, spec.name)
	}
	return strings.Join(names, ", ")
}

func unitNames(f field) string {
	names := slices.Sorted(maps.Keys(fieldSpecs[f].units))
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
