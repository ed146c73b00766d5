package trackfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// feature is a GeoJSON feature whose geometry is read by hand: the Go library for GeoJSON drops a
// position's third number, the altitude.
type feature struct {
	Type     string `json:"type"`
	Geometry *struct {
		Type        string          `json:"type"`
		Coordinates json.RawMessage `json:"coordinates"`
	} `json:"geometry"`
	Properties map[string]json.RawMessage `json:"properties"`
}

// emitFeatures yields the features of a collection inside another document.
func (f *file) emitFeatures(place Place, raw json.RawMessage) bool {
	var features []json.RawMessage
	if json.Unmarshal(raw, &features) != nil {
		return f.reject(place, "the features are not an array")
	}
	for _, feat := range features {
		if !f.emitFeature(place, feat) {
			return false
		}
	}
	return true
}

// emitFeature yields a feature's fixes and reports whether to go on.
func (f *file) emitFeature(place Place, raw json.RawMessage) bool {
	reject := func(detail string) bool { return f.reject(place, detail) }
	var feat feature
	err := json.Unmarshal(raw, &feat)
	if err == nil && feat.Type == "Feature" && isOverlandsEvent(&feat) {
		return true // its geometry, if it has one, is the last known place under another time
	}
	if err != nil || feat.Type != "Feature" || feat.Geometry == nil {
		return reject("this is not a GeoJSON Feature with a geometry")
	}
	switch feat.Geometry.Type {
	case "Point":
		var position []float64
		if err := json.Unmarshal(feat.Geometry.Coordinates, &position); err != nil || len(position) < 2 {
			return reject("the Point's coordinates are not [longitude, latitude]")
		}
		rec := record{place: place, logger: loggerOfFeature(&feat)}
		rec.addObject(feat.Properties)
		f.addPosition(&rec, position)
		return f.emit(&rec)
	case "LineString", "MultiLineString":
		positions, err := flatten[[]float64](feat.Geometry.Coordinates, feat.Geometry.Type == "MultiLineString")
		if err != nil {
			return reject("the line's coordinates are not a list of [longitude, latitude]")
		}
		return f.emitLine(place, &feat, positions)
	}
	return reject("the geometry " + quote(feat.Geometry.Type) + " is not a Point, a LineString or a MultiLineString")
}

// isOverlandsEvent reports whether a feature is one of Overland's that is no position: a visit, a trip, that it paused.
func isOverlandsEvent(feat *feature) bool {
	return loggerOfFeature(feat) == overland && (feat.Properties["action"] != nil || valueText(feat.Properties["type"]) == "trip")
}

// loggerOfFeature recognises a feature by its properties.
func loggerOfFeature(feat *feature) *logger {
	if feat.Properties["battery_state"] != nil || feat.Properties["horizontal_accuracy"] != nil {
		return overland
	}
	return nil
}

// emitLine yields the positions of a line, whose times are a list among its properties.
func (f *file) emitLine(place Place, feat *feature, positions [][]float64) bool {
	times, err := lineTimes(feat)
	if err == nil && len(times) != len(positions) {
		err = fmt.Errorf("the line has %d positions and %d times", len(positions), len(times))
	}
	if err != nil {
		return f.reject(place, err.Error())
	}
	for i, position := range positions {
		place.Part = i + 1
		if len(position) < 2 {
			if !f.reject(place, "the position is not [longitude, latitude]") {
				return false
			}
			continue
		}
		rec := record{place: place}
		for name, raw := range feat.Properties {
			// Numbers among a line's properties sum it up; they are not its points'.
			if t := f.resolver.target(nil, name); t.ok && (t.field == fieldDevice || t.field == fieldSession) {
				rec.add(name, valueText(raw))
			}
		}
		f.resolver.override(&rec, fieldTimestamp, valueText(times[i]))
		f.addPosition(&rec, position)
		if !f.emit(&rec) {
			return false
		}
	}
	return true
}

// lineTimes finds the times of a line under the names that converters give them.
func lineTimes(feat *feature) ([]json.RawMessage, error) {
	properties := feat.Properties
	var nested map[string]json.RawMessage
	if json.Unmarshal(properties["coordinateProperties"], &nested) == nil && nested["times"] != nil {
		properties = nested
	}
	for _, name := range []string{"coordTimes", "times", "timestamps"} {
		raw := properties[name]
		if raw == nil {
			continue
		}
		if times, err := flatten[json.RawMessage](raw, feat.Geometry.Type == "MultiLineString"); err == nil {
			return times, nil
		}
		return nil, fmt.Errorf("the line's property %s is not a list of times", name)
	}
	return nil, errors.New("the line has no times in a property coordTimes, times or timestamps")
}

// flatten reads a list, or the lists in a list.
func flatten[T any](raw json.RawMessage, nested bool) (all []T, err error) {
	if !nested {
		err = json.Unmarshal(raw, &all)
		return all, err
	}
	var lists [][]T
	if err := json.Unmarshal(raw, &lists); err != nil {
		return nil, err
	}
	for _, list := range lists {
		all = append(all, list...)
	}
	return all, nil
}

// addPosition adds a position's numbers. The geometry is what says where a feature is, so properties of
// the same names give way to it.
func (f *file) addPosition(rec *record, position []float64) {
	for i, target := range []field{fieldLongitude, fieldLatitude, fieldAltitude} {
		if i < len(position) {
			f.resolver.override(rec, target, strconv.FormatFloat(position[i], 'g', -1, 64))
		}
	}
}
