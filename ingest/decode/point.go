package decode

import (
	"errors"
	"io"
	"math"
	"strconv"

	"github.com/go-faster/jx"

	"lastseen/ingest/registry"
	"lastseen/schema"
)

// field is a field of a point. When several are wrong, the first in this order is the one that the
// rejection names.
type field uint8

const (
	fieldSession field = iota
	fieldDevice
	fieldMAC
	fieldTimestamp
	fieldLatitude
	fieldLongitude
	fieldAltitude
	fieldAccuracy
	fieldSpeed
	fieldHeading
	fieldTemperature
	fieldBattery
	fieldCount
)

// The sentences of rejections, which package registry has some more of.
const (
	DetailNotObject   = "A point must be a JSON object."
	DetailNoReference = "A point needs a session_id, or a device_id or device_mac_address whose active session is meant."
	detailNoTimestamp = "timestamp is missing: give the time of the position, such as 2026-01-15T09:30:00Z."
	detailTimestamp   = "timestamp must be a time such as 2026-01-15T09:30:00Z, or a number of Unix seconds or milliseconds."
	detailUnknown     = "the value says that it is not known." // of an optional value, which nobody is told
	DetailTooOld      = "timestamp lies before the year 2000: set the device's clock."
	detailNoLatitude  = "latitude is missing: give a number from -90 to 90."
	detailNoLongitude = "longitude is missing: give a number from -180 to 180."
	DetailLatitude    = "latitude must be a number from -90 to 90."
	DetailLongitude   = "longitude must be a number from -180 to 180."
	DetailAltitude    = "altitude must be a number of metres from -12000 to 100000."
	DetailAccuracy    = "accuracy must be a number of metres from 0 to 10000000."
	DetailSpeed       = "speed must be a number of metres per second from 0 to 650."
	DetailHeading     = "heading must be a number of degrees from 0 to 360."
	DetailTemperature = "temperature must be a number of degrees Celsius from -273.15 to 10000."
	DetailBattery     = "battery must be a number from 0 (empty) to 1 (full)."
	detailSessionText = "session_id must be a string."
	detailDeviceText  = "device_id must be a string."
	detailMACText     = "device_mac_address must be a string."
	earliestTimestamp = 946_684_800_000 // 2000-01-01T00:00:00Z, Unix milliseconds
)

// fieldOf returns the field with a name. Other names are ignored, as Pydantic models do.
func fieldOf(name []byte) (field, bool) {
	switch string(name) {
	case "session_id":
		return fieldSession, true
	case "device_id":
		return fieldDevice, true
	case "device_mac_address":
		return fieldMAC, true
	case "timestamp":
		return fieldTimestamp, true
	case "latitude":
		return fieldLatitude, true
	case "longitude":
		return fieldLongitude, true
	case "altitude":
		return fieldAltitude, true
	case "accuracy":
		return fieldAccuracy, true
	case "speed":
		return fieldSpeed, true
	case "heading":
		return fieldHeading, true
	case "temperature":
		return fieldTemperature, true
	case "battery":
		return fieldBattery, true
	}
	return 0, false
}

// pointDecoder decodes one point at a time.
type pointDecoder struct {
	json  jx.Decoder
	point schema.DataPoint // without its session
	ref   registry.Reference

	// Per field, so that the last of several wins whether it is good or bad.
	problems [fieldCount]string
	dropped  int // optional values that were left out, of the last point
	given    [fieldCount]bool
}

// decode reads a point from the text of one JSON value. It returns a sentence when the point is
// bad, and an error when the text is not one JSON value.
func (d *pointDecoder) decode(text []byte) (detail string, err error) {
	d.json.ResetBytes(text)
	if d.json.Next() != jx.Object {
		return DetailNotObject, d.json.Validate()
	}
	d.point = schema.NewDataPoint(schema.ID{}, 0, 0, 0)
	d.problems, d.given, d.dropped = [fieldCount]string{}, [fieldCount]bool{}, 0
	members, err := d.json.ObjIter()
	if err != nil {
		return "", err
	}
	for members.Next() {
		f, known := fieldOf(members.Key())
		if !known {
			err = d.json.Skip()
		} else {
			err = d.decodeField(f)
		}
		if err != nil {
			return "", err
		}
	}
	if err := members.Err(); err != nil {
		return "", err
	}
	if err := d.json.Skip(); !errors.Is(err, io.EOF) {
		return "", errors.New("data after the end of the point")
	}
	return d.verdict(), nil
}

// decodeField reads the value of a field, whatever its type, and notes what is wrong with it.
func (d *pointDecoder) decodeField(f field) error {
	kind := d.json.Next()
	d.given[f], d.problems[f] = kind != jx.Null, ""
	switch {
	case kind == jx.Null:
		d.clear(f)
		if f > fieldLongitude {
			d.problems[f] = detailUnknown
		}
		return d.json.Null()
	case f <= fieldTimestamp && kind == jx.String:
		text, err := d.json.StrBytes()
		if err == nil {
			d.problems[f] = d.setText(f, text)
		}
		return err
	case f == fieldTimestamp && kind == jx.Number:
		number, err := d.json.Num()
		if err == nil {
			d.problems[f] = d.setText(f, number)
		}
		return err
	case f > fieldTimestamp && kind == jx.Number:
		number, err := d.json.Num()
		if err == nil {
			d.problems[f] = d.setNumber(f, number)
		}
		return err
	}
	d.problems[f] = wrongType[f]
	return d.json.Skip()
}

// wrongType is what is said of a value that is neither null nor of the field's type.
var wrongType = [fieldCount]string{
	fieldSession: detailSessionText, fieldDevice: detailDeviceText, fieldMAC: detailMACText,
	fieldTimestamp: detailTimestamp, fieldLatitude: DetailLatitude, fieldLongitude: DetailLongitude,
	fieldAltitude: DetailAltitude, fieldAccuracy: DetailAccuracy, fieldSpeed: DetailSpeed,
	fieldHeading: DetailHeading, fieldTemperature: DetailTemperature, fieldBattery: DetailBattery,
}

// clear takes back an optional value that an earlier member of the same name gave.
func (d *pointDecoder) clear(f field) {
	switch f {
	case fieldAltitude:
		d.point.Altitude = schema.NoAltitude
	case fieldAccuracy:
		d.point.Accuracy = schema.NoAccuracy
	case fieldSpeed:
		d.point.Speed = schema.NoSpeed
	case fieldHeading:
		d.point.Heading = schema.NoHeading
	case fieldTemperature:
		d.point.Temperature = float32(math.NaN())
	case fieldBattery:
		d.point.Battery = schema.NoBattery
	}
}

// setText takes a field's string and returns what is wrong with it.
func (d *pointDecoder) setText(f field, text []byte) string {
	var ok bool
	switch f {
	case fieldSession:
		if d.ref.Session, ok = schema.ParseID(text); !ok {
			return registry.DetailNoSession
		}
	case fieldDevice:
		if d.ref.Device, ok = schema.ParseID(text); !ok {
			return registry.DetailNoDevice
		}
	case fieldMAC:
		if d.ref.MAC, ok = registry.AppendMACIdentity(d.ref.MAC[:0], text); !ok {
			return registry.DetailNoMAC
		}
	case fieldTimestamp:
		if d.point.Timestamp, ok = schema.ParseTimestamp(text); !ok {
			return "timestamp " + schema.TimestampProblem(text) + "."
		}
		if d.point.Timestamp < earliestTimestamp {
			return DetailTooOld
		}
	}
	return ""
}

// setNumber takes a field's number and returns what is wrong with it.
func (d *pointDecoder) setNumber(f field, number []byte) string {
	var units int64
	var ok bool
	switch f {
	case fieldLatitude:
		units, ok = parseDecimal(number, 7).within(90e7, 90e7)
		d.point.Latitude = int32(units)
	case fieldLongitude:
		units, ok = parseDecimal(number, 7).within(180e7, 180e7)
		d.point.Longitude = int32(units)
	case fieldAltitude:
		units, ok = parseDecimal(number, 1).within(12_000e1, 100_000e1)
		d.point.Altitude = int32(units)
	case fieldAccuracy:
		units, ok = parseDecimal(number, 1).within(0, 1e7*1e1)
		d.point.Accuracy = uint32(units)
	case fieldSpeed:
		units, ok = parseDecimal(number, 2).within(0, 650e2)
		d.point.Speed = uint16(units)
	case fieldHeading:
		units, ok = parseDecimal(number, 1).within(0, 360e1)
		d.point.Heading = uint16(units % 3600) // 360 degrees is north again
	case fieldBattery:
		units, ok = parseDecimal(number, 4).within(0, 1e4)
		d.point.Battery = uint16(units)
	case fieldTemperature:
		d.point.Temperature, ok = parseTemperature(number)
	}
	if !ok {
		return wrongType[f]
	}
	return ""
}

// parseTemperature reads degrees Celsius; the one value that is stored as a float.
func parseTemperature(number []byte) (float32, bool) {
	degrees, err := strconv.ParseFloat(string(number), 64)
	if err != nil || degrees < -273.15 || degrees > 10_000 {
		return 0, false
	}
	return float32(degrees) + 0, true // -0 and 0 are one temperature
}

// verdict returns the sentence on the first needed field that is wrong or missing, leaves out the optional
// values that are, and fills in the reference.
func (d *pointDecoder) verdict() string {
	for f, problem := range d.problems {
		switch {
		case problem == "":
		case field(f) <= fieldLongitude:
			return problem
		default: // the position is good all the same
			d.clear(field(f))
			d.dropped++
		}
	}
	d.ref.HasSession, d.ref.HasDevice, d.ref.HasMAC = d.given[fieldSession], d.given[fieldDevice], d.given[fieldMAC]
	switch {
	case !d.ref.HasSession && !d.ref.HasDevice && !d.ref.HasMAC:
		return DetailNoReference
	case !d.given[fieldTimestamp]:
		return detailNoTimestamp
	case !d.given[fieldLatitude]:
		return detailNoLatitude
	case !d.given[fieldLongitude]:
		return detailNoLongitude
	}
	return ""
}
