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
	// A timestamp's scale is milliseconds for each unit.
	times = map[string]unit{"s": {1000, 0}, "ms": {1, 0}, "us": {1e-3, 0}, "ns": {1e-6, 0}}
)

var fieldSpecs = [fields]fieldSpec{
	fieldTimestamp: {"timestamp", []string{"timestamp", "time", "datetime", "date_time", "ts"}, times},
	fieldLatitude:  {"latitude", []string{"latitude", "lat"}, nil},
	fieldLongitude: {"longitude", []string{"longitude", "lon", "lng"}, nil},
	fieldAltitude:  {"altitude", []string{"altitude", "alt", "ele", "elevation"}, lengths},
	fieldAccuracy:  {"accuracy", []string{"accuracy"}, lengths},
	fieldSpeed: {"speed", []string{"speed", "groundspeed", "ground_speed", "velocity"},
		map[string]unit{"m/s": {1, 0}, "km/h": {1 / 3.6, 0}, "mph": {0.44704, 0}, "kn": {1852.0 / 3600, 0}}},
	fieldHeading: {"heading", []string{"heading", "track", "bearing", "course"}, nil},
	fieldTemperature: {"temperature", []string{"temperature", "temp", "atemp"},
		map[string]unit{"C": {1, 0}, "F": {5.0 / 9, -32 * 5.0 / 9}}},
	fieldBattery: {"battery", []string{"battery"}, map[string]unit{"1": {1, 0}, "%": {0.01, 0}}},
	fieldDevice:  {"device", []string{"device_mac_address", "device_id", "icao24", "vehicle_id", "imei", "device"}, nil},
	fieldSession: {"session", []string{"session_id"}, nil},
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

// resolver finds the field of a column. It belongs to one goroutine.
type resolver struct {
	mapping Mapping
	known   map[string]target
}

// target is the field that a column holds; of several columns for one field the lowest rank counts.
type target struct {
	field field
	rank  int
	ok    bool
}

// maxKnownColumns bounds what a file with ever new names can make the resolver remember.
const maxKnownColumns = 10_000

func newResolver(mapping Mapping) *resolver {
	return &resolver{mapping: mapping, known: map[string]target{}}
}

// target returns the field of a column.
func (r *resolver) target(column string) target {
	if t, ok := r.known[column]; ok {
		return t
	}
	t := r.find(column)
	if len(r.known) >= maxKnownColumns {
		clear(r.known)
	}
	r.known[strings.Clone(column)] = t
	return t
}

func (r *resolver) find(column string) target {
	for f, mapped := range r.mapping.columns {
		if mapped == column && mapped != "" {
			return target{field: f, ok: true}
		}
	}
	plain := plainName(column)
	for f := range fieldSpecs {
		if _, mapped := r.mapping.columns[field(f)]; mapped {
			continue
		}
		if rank := slices.Index(fieldSpecs[f].columns, plain); rank >= 0 {
			return target{field: field(f), rank: rank, ok: true}
		}
	}
	return target{}
}

// columnOf returns a column that the resolver takes for a field, or "" when the field is to be left alone.
func (r *resolver) columnOf(f field) string {
	if column, mapped := r.mapping.columns[f]; mapped {
		return column
	}
	return fieldSpecs[f].columns[0]
}

// override sets a field that the format itself tells, in place of columns that hold it by their name
// only. A column that a mapping names stays.
func (r *resolver) override(rec *record, f field, value string) {
	for i, name := range rec.names {
		if t := r.target(name); !t.ok || t.field != f {
			continue
		}
		if _, mapped := r.mapping.columns[f]; mapped && rec.values[i] != "" {
			return
		}
		rec.values[i] = ""
	}
	rec.add(r.columnOf(f), value)
}

// plainName writes a column's name as the well-known names are written.
func plainName(column string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(column)))
}

// checkColumns reports a column that a table lacks: one that a mapping names, or one without which
// there is no fix.
func (r *resolver) checkColumns(columns []string) error {
	var found [fields]bool
	for _, column := range columns {
		if t := r.target(column); t.ok {
			found[t.field] = true
		}
	}
	for f := range fields {
		column, mapped := r.mapping.columns[f]
		name := fieldSpecs[f].name
		switch {
		case found[f]:
		case mapped && column != "":
			return fmt.Errorf("there is no column %q, which --map %s=… names; the columns are %s", column, name, strings.Join(columns, ", "))
		case f <= fieldLongitude:
			return fmt.Errorf("no column is known to hold the %s; the columns are %s: name the one that does with --map %s=COLUMN",
				name, strings.Join(columns, ", "), name)
		}
	}
	return nil
}
