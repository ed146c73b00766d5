package trackfile

import (
	"fmt"
	"slices"
	"strings"
)

// resolver finds the field of a column. It belongs to one goroutine.
type resolver struct {
	mapping Mapping
	reading reading
	// known remembers what was found, for each logger whose columns have meanings of their own.
	known map[*logger]map[string]target
	// unused is told once of a column that looks like an identity and is not used.
	unused   func(column string)
	reported map[string]bool
}

// target is the field that a column holds; of several columns for one field the lowest rank counts.
type target struct {
	field field
	rank  int
	ok    bool
	unit  *unit // nil: the column is in the field's own unit
	// zeroUnknown says that the column says 0 for what is not known.
	zeroUnknown bool
}

// maxKnownColumns bounds what a file with ever new names can make the resolver remember.
const maxKnownColumns = 10_000

func newResolver(options *Options) *resolver {
	r := &resolver{
		mapping: options.Mapping, reading: reading{decimalComma: options.DecimalComma, zone: options.TimeZone},
		known: map[*logger]map[string]target{}, reported: map[string]bool{},
	}
	if _, mapped := r.mapping.columns[fieldDevice]; !mapped && options.Device == "" && options.Note != nil {
		r.unused = func(column string) {
			options.Note(fmt.Sprintf("column %s is not used; --map device=%s?", printable(column), printable(column)))
		}
	}
	return r
}

// target returns the field of a column of a logger's, or of anybody's when by is nil.
func (r *resolver) target(by *logger, column string) target {
	if t, ok := r.known[by][column]; ok {
		return t
	}
	t := r.find(by, column)
	if r.known[by] == nil || len(r.known[by]) >= maxKnownColumns {
		r.known[by] = map[string]target{}
	}
	r.known[by][strings.Clone(column)] = t
	return t
}

func (r *resolver) find(by *logger, column string) target {
	for f, mapped := range r.mapping.columns {
		if mapped == column && mapped != "" {
			t := target{field: f, ok: true}
			if u, named := r.mapping.units[f]; named {
				t.unit = &u
			}
			return t
		}
	}
	plain := plainName(column)
	if by != nil {
		if c, its := by.columns[plain]; its {
			_, mapped := r.mapping.columns[c.field]
			return target{field: c.field, ok: !mapped && !c.ignored, unit: c.unit, zeroUnknown: c.zeroUnknown}
		}
	}
	for f := range fieldSpecs {
		if _, mapped := r.mapping.columns[field(f)]; mapped {
			continue
		}
		if rank := slices.Index(fieldSpecs[f].columns, plain); rank >= 0 {
			// A logger's own columns come before what only has a well-known name.
			return target{field: field(f), rank: rank + 1, ok: true, unit: impliedUnit(plain)}
		}
	}
	return target{}
}

// impliedUnit is the unit that a well-known name says.
func impliedUnit(plain string) *unit {
	if plain == "timestamp_ms" {
		u := times["ms"]
		return &u
	}
	return nil
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
		if t := r.target(rec.logger, name); !t.ok || t.field != f {
			continue
		}
		if _, mapped := r.mapping.columns[f]; mapped && rec.values[i] != "" {
			return
		}
		rec.values[i] = ""
	}
	rec.add(r.columnOf(f), value)
}

// addUnder adds a value that gives way to what the record says of the same field already.
func (r *resolver) addUnder(rec *record, name, value string) {
	if t := r.target(rec.logger, name); t.ok {
		for i, other := range rec.names {
			if o := r.target(rec.logger, other); o.ok && o.field == t.field && strings.TrimSpace(rec.values[i]) != "" {
				return
			}
		}
	}
	rec.add(name, value)
}

// plainName writes a column's name as the well-known names are written.
func plainName(column string) string {
	plain := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(column)))
	return strings.TrimPrefix(plain, "#_")
}

// checkColumns reports a column that a table lacks: one that a mapping names, or one without which
// there is no fix.
func (r *resolver) checkColumns(by *logger, columns []string) error {
	var found [fields]bool
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = printable(column)
		if t := r.target(by, column); t.ok {
			found[t.field] = true
			if slices.Contains(columns[:i], column) {
				return fmt.Errorf("the column %s stands there twice, and nobody knows which one is the %s: give one another name", names[i], fieldSpecs[t.field].name)
			}
		}
	}
	list := strings.Join(names, ", ")
	for f := range fields {
		column, mapped := r.mapping.columns[f]
		name := fieldSpecs[f].name
		switch {
		case found[f]:
		case mapped && column != "":
			return fmt.Errorf("there is no column %s, which --map %s=… names; the columns are %s", quote(column), name, list)
		case f <= fieldLongitude:
			return fmt.Errorf("no column is known to hold the %s; the columns are %s: name the one that does with --map %s=COLUMN", name, list, name)
		}
	}
	return nil
}

// reportUnused tells of a record's columns that look like an identity when none is used for one.
func (r *resolver) reportUnused(rec *record) {
	for i, name := range rec.names {
		if rec.values[i] == "" || r.reported[name] || !looksLikeIdentity(name) || r.target(rec.logger, name).ok || len(r.reported) >= maxReported {
			continue
		}
		r.reported[strings.Clone(name)] = true
		r.unused(name)
	}
}

// maxReported bounds the columns of one file that are told of.
const maxReported = 10

// identities are names, without what stands between their words, of columns by which people tell apart
// who or what was where.
var identities = []string{
	"id", "uid", "uuid", "guid", "user", "username", "tid", "tracker", "trackername", "devicename", "name", "unit", "vehicle", "vehiclename", "asset", "assetname",
	"imsi", "serial", "serialnumber", "driver", "person", "individual", "animal", "callsign", "flight", "mac", "plate", "licenseplate", "licenceplate",
	"registration", "vessel", "vesselname", "ship", "shipname", "topic", "member", "rider", "bus", "train", "tag", "phone", "imo",
}

// looksLikeIdentity reports whether a column's name says that it tells whose a position is.
func looksLikeIdentity(column string) bool {
	plain := strings.NewReplacer("_", "", ".", "", ":", "").Replace(plainName(column))
	if slices.Contains(identities, plain) {
		return true
	}
	for _, not := range []string{"trip", "route", "stop", "point", "segment", "event", "record", "row", "leg", "shape", "valid", "grid"} {
		if strings.Contains(plain, not) {
			return false
		}
	}
	return strings.HasSuffix(plain, "id") || strings.HasSuffix(plain, "identifier")
}
