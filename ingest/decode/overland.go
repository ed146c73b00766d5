package decode

import (
	"errors"
	"strconv"

	"github.com/go-faster/jx"

	"lastseen/schema"
)

// readOverland reads a batch: features of which those without an action and of no type "trip" are
// positions, and the current one, which comes again in a later batch. Features are read as they come,
// for a batch may have a thousand.
func readOverland(r *appReader) error {
	d := jx.GetDecoder()
	defer jx.PutDecoder(d)
	d.ResetBytes(r.message.Body)
	if d.Next() != jx.Object {
		return errAppJSON
	}
	var last overlandFeature
	err := d.ObjBytes(func(d *jx.Decoder, key []byte) error {
		switch string(key) {
		case "locations":
			if d.Next() != jx.Array {
				return d.Skip()
			}
			return d.Arr(func(d *jx.Decoder) error { return readOverlandFeature(r, d, &last) })
		case "current":
			return readOverlandFeature(r, d, &last)
		}
		return d.Skip()
	})
	var ours *appError
	switch {
	case errors.As(err, &ours):
		return ours.error
	case err != nil:
		return errAppJSON
	}
	return nil
}

// overlandFeature is a feature as it was read.
type overlandFeature struct {
	position position
	id       string // unique_id
	second   int64  // the timestamp as it was sent
	same     int64  // how many other places before it had that second
	is       bool   // a position
	before   string // the device of the feature before
}

// readOverlandFeature reads a feature and adds it if it is a position. Its times are whole seconds: a second
// place within one is put a millisecond later, so that both stay.
func readOverlandFeature(r *appReader, d *jx.Decoder, last *overlandFeature) error {
	if d.Next() != jx.Object {
		return d.Skip()
	}
	f := overlandFeature{position: knownNothing(""), is: true, before: last.position.device}
	geometry := false
	err := d.ObjBytes(func(d *jx.Decoder, key []byte) error {
		switch {
		case string(key) == "geometry" && d.Next() == jx.Object:
			geometry = true
			return f.readGeometry(d)
		case string(key) == "properties" && d.Next() == jx.Object:
			return d.ObjBytes(f.readProperty)
		}
		return d.Skip()
	})
	if err != nil || !f.is || !geometry {
		return err
	}
	if f.position.device == "" {
		f.position.device = f.id
	}
	f.second = f.position.timestamp
	if last.is && last.second == f.second && last.position.device == f.position.device && last.position.latitude == last.position.latitude {
		f.same = last.same
		if last.position.latitude != f.position.latitude || last.position.longitude != f.position.longitude {
			f.same++
		}
		f.position.timestamp += f.same
	}
	*last = f
	if f.position.accuracy < 0 {
		f.position.latitude = unknown // which the app says of a position that is not valid
	}
	if err := r.add(&f.position); err != nil {
		return &appError{err}
	}
	return nil
}

// readGeometry reads a point's coordinates.
func (f *overlandFeature) readGeometry(d *jx.Decoder) error {
	return d.ObjBytes(func(d *jx.Decoder, key []byte) error {
		if string(key) != "coordinates" || d.Next() != jx.Array {
			return d.Skip()
		}
		place := 0
		return d.Arr(func(d *jx.Decoder) error {
			number, err := jxNumber(d)
			switch place++; place {
			case 1:
				f.position.longitude = number
			case 2:
				f.position.latitude = number
			}
			return err
		})
	})
}

// readProperty reads one of a feature's properties.
func (f *overlandFeature) readProperty(d *jx.Decoder, key []byte) (err error) {
	p := &f.position
	switch string(key) {
	case "timestamp":
		p.timestamp, p.timed, err = jxTime(d)
	case "altitude":
		p.altitude, err = jxNumber(d)
	case "vertical_accuracy":
		var accuracy float64
		if accuracy, err = jxNumber(d); accuracy < 0 && p.altitude == 0 {
			p.altitude = unknown
		}
	case "speed":
		p.speed, err = jxNumber(d)
		p.speed = unlessNegative(p.speed)
	case "course":
		p.heading, err = jxNumber(d)
		p.heading = unlessNegative(p.heading)
	case "horizontal_accuracy":
		p.accuracy, err = jxNumber(d)
	case "battery_level":
		p.battery, err = jxNumber(d)
		p.battery = unlessNegative(p.battery)
	case "device_id":
		if d.Next() != jx.String {
			return d.Skip()
		}
		var name []byte
		if name, err = d.StrBytes(); string(name) == f.before { // mostly one device's features follow each other
			p.device = f.before
		} else {
			p.device = string(name)
		}
	case "unique_id":
		f.id, err = jxText(d)
	case "action":
		f.is = f.is && d.Next() == jx.Null
		err = d.Skip()
	case "type":
		var kind string
		kind, err = jxText(d)
		f.is = f.is && kind != "trip"
	default:
		err = d.Skip()
	}
	return err
}

// appError carries an error of ours through the JSON decoder.
type appError struct{ error }

// jxNumber reads a number, and passes over what is none, or is greater than any: such a one must not keep a batch.
func jxNumber(d *jx.Decoder) (float64, error) {
	if d.Next() == jx.Number {
		number, err := d.Float64()
		if errors.Is(err, strconv.ErrRange) {
			return unknown, nil
		}
		return number, err
	}
	return unknown, d.Skip()
}

// jxText reads a text, and passes over what is none.
func jxText(d *jx.Decoder) (string, error) {
	if d.Next() == jx.String {
		return d.Str()
	}
	return "", d.Skip()
}

// jxTime reads a time as a text or as a number.
func jxTime(d *jx.Decoder) (ms int64, ok bool, err error) {
	switch d.Next() {
	case jx.String:
		text, err := d.StrBytes()
		if err != nil {
			return 0, false, err
		}
		ms, ok = schema.ParseTimestamp(text)
		return ms, ok, nil
	case jx.Number:
		number, err := d.Num()
		if err != nil {
			return 0, false, err
		}
		ms, ok = schema.ParseTimestamp([]byte(number))
		return ms, ok, nil
	}
	return 0, false, d.Skip()
}
