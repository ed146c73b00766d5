package query

import (
	"math"
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
	dst = appendTime(dst, p.Timestamp)
	dst = append(dst, `,"received_at_timestamp":`...)
	dst = appendTime(dst, p.ReceivedAt)
	dst = append(dst, `,"schema_version":1`...)
	if t := float64(p.Temperature); !math.IsNaN(t) && !math.IsInf(t, 0) {
		dst = append(dst, `,"temperature":`...)
		dst = appendTemperature(dst, p.Temperature)
	}
	dst = append(dst, `,"location":`...)
	dst = appendLocation(dst, p)
	dst = append(dst, `,"metadata":{"session_id":"`...)
	dst = append(dst, dst[session:session+2*len(p.SessionID)]...)
	if p.Outlier == schema.NotOutlier {
		return append(dst, `","outlier":false,"paused":false}}`...)
	}
	dst = append(dst, `","outlier":true,"paused":false`...)
	if p.Outlier == schema.OutlierByUser {
		dst = append(dst, `,"outlier_labeller":"user"`...)
	}
	return append(dst, `}}`...)
}

// appendLocation appends the GeoJSON Feature of a point. What else the device said of its movement
// is in the Feature's properties.
func appendLocation(dst []byte, p *schema.DataPoint) []byte {
	dst = append(dst, `{"type":"Feature","geometry":{"type":"Point","coordinates":[`...)
	dst = appendDecimal(dst, int64(p.Longitude), 7)
	dst = append(dst, ',')
	dst = appendDecimal(dst, int64(p.Latitude), 7)
	if p.Altitude != schema.NoAltitude {
		dst = append(dst, ',')
		dst = appendDecimal(dst, int64(p.Altitude), 1)
	}
	dst = append(dst, `]},"properties":{`...)
	first := len(dst)
	if p.Accuracy != schema.NoAccuracy {
		dst = append(dst, `,"accuracy":`...)
		dst = appendDecimal(dst, int64(p.Accuracy), 1)
	}
	if p.Speed != schema.NoSpeed {
		dst = append(dst, `,"speed":`...)
		dst = appendDecimal(dst, int64(p.Speed), 2)
	}
	if p.Heading != schema.NoHeading {
		dst = append(dst, `,"heading":`...)
		dst = appendDecimal(dst, int64(p.Heading), 1)
	}
	if p.Battery != schema.NoBattery {
		dst = append(dst, `,"battery":`...)
		dst = appendDecimal(dst, int64(p.Battery), 4)
	}
	if len(dst) > first {
		dst = append(dst[:first], dst[first+1:]...) // the first one's comma
	}
	return append(dst, `}}`...)
}
