package wire

import (
	"strconv"

	"lastseen/schema"
)

// NoPointETag is the entity tag of the answer null.
const NoPointETag = `"none"`

// AppendETag appends the strong entity tag, quotes included, of the last_seen answer that shows p:
// it differs whenever a byte of the answer does.
func AppendETag(dst []byte, p *schema.DataPoint) []byte {
	dst = append(dst, '"')
	dst = schema.AppendPointID(dst, p.SessionID, p.Timestamp)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, p.ReceivedAt, 36)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, uint64(p.Version), 36)
	return append(dst, '"')
}

// AppendDataPoint appends the JSON of a data point to dst, without allocating when dst has room
// (640 bytes are enough). Times must lie in the years 0 to 9999; a temperature that is no finite
// number counts as unknown.
func AppendDataPoint(dst []byte, p *schema.DataPoint) []byte {
	dst = append(dst, `{"_id":"`...)
	session := len(dst)
	dst = schema.AppendPointID(dst, p.SessionID, p.Timestamp)
	dst = append(dst, `","timestamp":`...)
	dst = AppendTime(dst, p.Timestamp)
	dst = append(dst, `,"received_at_timestamp":`...)
	dst = AppendTime(dst, p.ReceivedAt)
	dst = appendReading(dst, p)
	dst = append(dst, dst[session:session+2*len(p.SessionID)]...)
	return appendMarks(dst, p)
}

// PointEncoder appends what AppendDataPoint does for the points of one session, in less time, because
// it keeps what they have in common.
type PointEncoder struct {
	head               []byte // up to the timestamp in the id
	session            []byte // its digits, in head
	timestamp, receipt dayText
}

// NewPointEncoder returns an encoder for the points of a session.
func NewPointEncoder(session schema.ID) *PointEncoder {
	e := new(PointEncoder)
	e.Of(session)
	return e
}

// Of makes the points of another session the next ones.
func (e *PointEncoder) Of(session schema.ID) {
	const key = `{"_id":"`
	e.head = append(session.AppendHex(append(e.head[:0], key...)), '.')
	e.session = e.head[len(key) : len(e.head)-1]
}

// Append appends the JSON of a point of the session.
func (e *PointEncoder) Append(dst []byte, p *schema.DataPoint) []byte {
	dst = append(dst, e.head...)
	dst = appendMillis(dst, p.Timestamp)
	dst = append(dst, `","timestamp":`...)
	dst = e.timestamp.append(dst, p.Timestamp)
	dst = append(dst, `,"received_at_timestamp":`...)
	dst = e.receipt.append(dst, p.ReceivedAt)
	dst = appendReading(dst, p)
	dst = append(dst, e.session...)
	return appendMarks(dst, p)
}

// appendReading appends what the device said, up to the id of its session.
func appendReading(dst []byte, p *schema.DataPoint) []byte {
	dst = append(dst, `,"schema_version":1`...)
	if KnownTemperature(p) {
		dst = append(dst, `,"temperature":`...)
		dst = AppendTemperature(dst, p.Temperature)
	}
	dst = append(dst, `,"location":`...)
	dst = AppendLocation(dst, p)
	return append(dst, `,"metadata":{"session_id":"`...)
}

// appendMarks appends what comes after the id of the session.
func appendMarks(dst []byte, p *schema.DataPoint) []byte {
	if p.Outlier == schema.NotOutlier {
		return append(dst, `","outlier":false,"paused":false}}`...)
	}
	dst = append(dst, `","outlier":true,"paused":false`...)
	dst = append(append(append(dst, `,"outlier_labeller":"`...), p.Outlier.Labeller()...), '"')
	if reason := p.Outlier.Reason(); reason != "" {
		dst = append(append(append(dst, `,"outlier_reason":"`...), reason...), '"')
	}
	return append(dst, `}}`...)
}

// AppendLocation appends the GeoJSON Feature of a point. What else the device said of its movement
// is in the Feature's properties.
func AppendLocation(dst []byte, p *schema.DataPoint) []byte {
	dst = append(dst, `{"type":"Feature","geometry":{"type":"Point","coordinates":[`...)
	dst = appendDegrees(dst, p.Longitude)
	dst = append(dst, ',')
	dst = appendDegrees(dst, p.Latitude)
	if p.Altitude != schema.NoAltitude {
		dst = append(dst, ',')
		size := uint32(p.Altitude)
		if p.Altitude < 0 {
			dst, size = append(dst, '-'), -size
		}
		dst = appendTenths(dst, size)
	}
	dst = append(dst, `]},"properties":{`...)
	separate := false
	if p.Accuracy != schema.NoAccuracy {
		dst = appendTenths(append(dst, `"accuracy":`...), p.Accuracy)
		separate = true
	}
	if p.Speed != schema.NoSpeed {
		dst = appendHundredths(append(appendComma(dst, separate), `"speed":`...), uint32(p.Speed))
		separate = true
	}
	if p.Heading != schema.NoHeading {
		dst = appendTenths(append(appendComma(dst, separate), `"heading":`...), uint32(p.Heading))
		separate = true
	}
	if p.Battery != schema.NoBattery {
		dst = AppendDecimal(append(appendComma(dst, separate), `"battery":`...), int64(p.Battery), 4)
	}
	return append(dst, `}}`...)
}

// appendComma appends the comma between two members of an object.
func appendComma(dst []byte, separate bool) []byte {
	if separate {
		return append(dst, ',')
	}
	return dst
}

// KnownTemperature reports whether a point has a temperature that can be written as a number.
func KnownTemperature(p *schema.DataPoint) bool {
	return p.Temperature-p.Temperature == 0
}
