package trackfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxLineBytes bounds a line of NDJSON.
const maxLineBytes = 1 << 20

// readNDJSON yields the objects that stand on a line each.
func (f *file) readNDJSON(in *bufio.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLineBytes)
	line := 0
	for lines.Scan() {
		line++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(text, &object); err != nil {
			if !f.reject(Place{Line: line}, "the line is not a JSON object: "+err.Error()) {
				return nil
			}
			continue
		}
		if !f.emitObject(Place{Line: line}, object, text) {
			return nil
		}
	}
	return lineError(lines.Err(), line, "NDJSON")
}

// lineError is what ended a scanner of lines, or nil at the end of the file.
func lineError(err error, last int, format string) error {
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d is longer than %d bytes, so this is no %s", last+1, maxLineBytes, format)
	case err != nil:
		return fmt.Errorf("after line %d: %w", last, err)
	}
	return nil
}

// lists are the members of a document under which its positions stand: of our own ingest body and
// answers, of GeoJSON, Overland, Google's and OwnTracks' exports.
var lists = []string{"points", "data_points", "features", "locations", "data", "positions", "semanticSegments", "rawSignals"}

func isList(name string) bool { return slices.Contains(lists, name) }

// readJSON yields the positions of one document: an array, an object that holds a list of them, or an
// object that is one. Of an object that holds a list all else is skipped.
func (f *file) readJSON(in *bufio.Reader) error {
	decoder := newLineDecoder(in)
	for documents := 0; ; documents++ {
		token, err := decoder.Token()
		switch {
		case err == io.EOF && documents > 0:
			return nil
		case err != nil:
			return decoder.wrap(err)
		case token == json.Delim('['):
			err = f.eachElement(decoder, f.emitElement)
		case token == json.Delim('{'):
			err = f.readDocument(decoder)
		default:
			return errors.New("the file is neither a JSON array nor a JSON object; give its format with --format")
		}
		if err != nil || f.stopped {
			return err
		}
	}
}

// readDocument yields what the object holds that the decoder has entered, and leaves it.
func (f *file) readDocument(decoder *lineDecoder) error {
	line := decoder.line(decoder.InputOffset())
	whole, size, found := map[string]json.RawMessage{}, 0, false
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return decoder.wrap(err)
		}
		name, _ := token.(string)
		if isList(name) {
			isArray, err := f.readList(decoder, name)
			if err != nil || f.stopped {
				return err
			}
			found = found || isArray
			continue
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return decoder.wrap(err)
		}
		if size += len(value); size <= maxLineBytes {
			whole[name] = value
		}
	}
	if _, err := decoder.Token(); err != nil {
		return decoder.wrap(err)
	}
	if found {
		return nil
	}
	if err := unreadDocument(whole); err != nil {
		return err
	}
	text, err := json.Marshal(whole)
	if err != nil {
		return fmt.Errorf("put the object together: %w", err)
	}
	f.emitObject(Place{Line: line}, whole, text)
	return nil
}

// readList yields the elements of a member that is an array, and reports whether it is one. Any other
// value is passed over.
func (f *file) readList(decoder *lineDecoder, name string) (isArray bool, err error) {
	each := f.emitElement
	switch name {
	case "features":
		each = f.emitFeature
	case "data_points":
		each = func(place Place, raw json.RawMessage) bool {
			// Our own answer on many sessions has null for one without a point.
			return string(raw) == "null" || f.emitElement(place, raw)
		}
	}
	token, err := decoder.Token()
	switch {
	case err != nil:
		return false, decoder.wrap(err)
	case token == json.Delim('['):
		return true, f.eachElement(decoder, each)
	case token == json.Delim('{'):
		if err := decoder.skip(); err != nil {
			return false, decoder.wrap(err)
		}
	}
	return false, nil
}

// unreadDocument names documents that are known and hold no positions with times.
func unreadDocument(whole map[string]json.RawMessage) error {
	switch {
	case whole["timelineObjects"] != nil:
		return (&refusal{what: "Google's older Semantic Location History", advice: "Records.json of the same Takeout is"}).error()
	case string(whole["type"]) == `"Topology"`:
		return (&refusal{what: "TopoJSON", advice: "convert it to GeoJSON"}).error()
	case whole["openapi"] != nil, whole["$schema"] != nil:
		return errors.New("the file is JSON without positions")
	}
	return nil
}

// eachElement calls each for the elements of the array that the decoder has entered, until each
// returns false, and leaves the array.
func (f *file) eachElement(decoder *lineDecoder, each func(Place, json.RawMessage) bool) error {
	for decoder.More() {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return decoder.wrap(err)
		}
		if !each(Place{Line: decoder.line(decoder.InputOffset() - int64(len(raw)))}, raw) {
			f.stopped = true
			return nil
		}
	}
	if _, err := decoder.Token(); err != nil {
		return decoder.wrap(err)
	}
	return nil
}

// emitElement yields what an element of a list is.
func (f *file) emitElement(place Place, raw json.RawMessage) bool {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return f.reject(place, "the element is not a JSON object")
	}
	return f.emitObject(place, object, raw)
}

// emitObject yields what an object is, by the members that only one kind of file has.
func (f *file) emitObject(place Place, object map[string]json.RawMessage, raw json.RawMessage) bool {
	has := func(name string) bool { return object[name] != nil }
	switch kind := valueText(object["type"]); {
	case kind == "Feature", has("geometry") && has("properties"):
		return f.emitFeature(place, raw)
	case kind == "FeatureCollection" && has("features"):
		return f.emitFeatures(place, object["features"])
	case has("_type"):
		return f.emitOwnTracks(place, object)
	case has("latitudeE7"), has("timestampMs"), has("deviceTag"):
		return f.emitTakeout(place, object)
	case has("timelinePath"), has("startTime") && (has("visit") || has("activity") || has("timelineMemory")):
		return f.emitSegment(place, raw)
	case has("wifiScan"), has("activityRecord"), has("position") && !has("latitude") && !has("lat"):
		return f.emitSignal(place, raw)
	}
	rec := record{place: place, logger: loggerOfObject(object)}
	rec.addObject(object)
	return f.emit(&rec)
}

// loggerOfObject recognises an object by its members.
func loggerOfObject(object map[string]json.RawMessage) *logger {
	if object["fixTime"] != nil && object["deviceId"] != nil {
		return traccar
	}
	return nil
}

// addObject adds an object's members, and those of a data point as the service writes it: its location
// is a GeoJSON Feature, and its session stands in its metadata.
func (r *record) addObject(object map[string]json.RawMessage) {
	for name, raw := range object {
		switch name {
		case "location":
			if r.addLocation(raw) {
				continue
			}
		case "metadata":
			var metadata map[string]json.RawMessage
			if json.Unmarshal(raw, &metadata) == nil && metadata["session_id"] != nil {
				r.add("session_id", valueText(metadata["session_id"]))
			}
			continue
		case "_id", "schema_version":
			continue // of a data point, not of what was where
		}
		r.add(name, valueText(raw))
	}
}

// addLocation adds the position and the properties of a Feature with a Point, and reports whether it is one.
func (r *record) addLocation(raw json.RawMessage) bool {
	var feat feature
	if json.Unmarshal(raw, &feat) != nil || feat.Geometry == nil || feat.Geometry.Type != "Point" {
		return false
	}
	var position []json.Number
	if json.Unmarshal(feat.Geometry.Coordinates, &position) != nil || len(position) < 2 {
		return false
	}
	for name, value := range feat.Properties {
		r.add(name, valueText(value))
	}
	for i, name := range []string{"longitude", "latitude", "altitude"} {
		if i < len(position) {
			r.add(name, position[i].String())
		}
	}
	return true
}

// valueText returns a string's text, nothing for null, and any other value as it stands.
func valueText(raw json.RawMessage) string {
	if len(raw) > 0 && raw[0] == '"' {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			return text
		}
	}
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}
