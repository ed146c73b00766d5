package trackfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLineBytes bounds a line of NDJSON.
const maxLineBytes = 1 << 20

// readNDJSON yields the objects that stand on a line each.
func (f *file) readNDJSON(in *bufio.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLineBytes)
	var rec record
	line := 0
	for lines.Scan() {
		line++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(text, &object); err != nil {
			if !f.yield(Fix{}, &RowError{Place: Place{Line: line}, Detail: "the line is not a JSON object: " + err.Error()}) {
				return nil
			}
			continue
		}
		rec.reset(Place{Line: line})
		rec.addObject(object)
		if !f.emit(&rec) {
			return nil
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d bytes, so this is no NDJSON", line+1, maxLineBytes)
	}
	return lines.Err()
}

// readJSONArray yields the objects of an array.
func (f *file) readJSONArray(in *bufio.Reader) error {
	decoder := newLineDecoder(in)
	if token, err := decoder.Token(); err != nil {
		return decoder.wrap(err)
	} else if token != json.Delim('[') {
		return errors.New("the file is not a JSON array of objects; give its format with --format")
	}
	return f.eachElement(decoder, func(place Place, raw json.RawMessage) bool {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return f.yield(Fix{}, &RowError{Place: place, Detail: "the element is not a JSON object"})
		}
		rec := record{place: place}
		rec.addObject(object)
		return f.emit(&rec)
	})
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

// lineDecoder is a JSON decoder that knows on which line an offset is.
type lineDecoder struct {
	*json.Decoder
	lines *lineIndex
}

func newLineDecoder(in io.Reader) *lineDecoder {
	lines := &lineIndex{in: in}
	return &lineDecoder{Decoder: json.NewDecoder(lines), lines: lines}
}

// line returns the line of an offset, which must not be before that of an earlier call.
func (d *lineDecoder) line(offset int64) int {
	return d.lines.line(offset)
}

// wrap says on which line reading stopped. Nothing after it can be read.
func (d *lineDecoder) wrap(err error) error {
	offset := d.InputOffset()
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		offset = max(offset, syntax.Offset-1)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err, offset = io.ErrUnexpectedEOF, d.lines.offset
	}
	return fmt.Errorf("line %d is not JSON, and nothing after it was read: %w", d.line(offset), err)
}

// lineIndex passes bytes on and remembers where the lines end that nobody has asked about yet.
type lineIndex struct {
	in     io.Reader
	offset int64   // of the next byte to read
	ends   []int64 // offsets of the line feeds after the last line asked for
	passed int     // line feeds before that
}

// Read implements io.Reader.
func (l *lineIndex) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			l.ends = append(l.ends, l.offset+int64(i))
		}
	}
	l.offset += int64(n)
	return n, err
}

func (l *lineIndex) line(offset int64) int {
	n := 0
	for n < len(l.ends) && l.ends[n] < offset {
		n++
	}
	l.passed += n
	l.ends = append(l.ends[:0], l.ends[n:]...)
	return l.passed + 1
}
