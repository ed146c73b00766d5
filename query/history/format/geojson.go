package format

import (
	"lastseen/query/wire"
	"lastseen/schema"
)

// geoJSON is a FeatureCollection: the Feature that is a point's location in the JSON of a data point,
// with everything else that is known of the point among its properties.
var geoJSON = Points{
	Begin: `{"type":"FeatureCollection","features":[`,
	Point: appendFeature,
	End:   `]}`,
}

func appendFeature(dst []byte, p *schema.DataPoint, first bool) []byte {
	if !first {
		dst = append(dst, ',')
	}
	dst = wire.AppendLocation(dst, p)
	bare := dst[len(dst)-3] == '{' // the properties are empty
	dst = dst[:len(dst)-2]
	if !bare {
		dst = append(dst, ',')
	}
	dst = append(dst, `"_id":"`...)
	dst = schema.AppendPointID(dst, p.SessionID, p.Timestamp)
	dst = append(dst, `","session_id":"`...)
	dst = p.SessionID.AppendHex(dst)
	dst = append(dst, `","timestamp":`...)
	dst = wire.AppendTime(dst, p.Timestamp)
	dst = append(dst, `,"received_at_timestamp":`...)
	dst = wire.AppendTime(dst, p.ReceivedAt)
	if wire.KnownTemperature(p) {
		dst = append(dst, `,"temperature":`...)
		dst = wire.AppendTemperature(dst, p.Temperature)
	}
	if p.Outlier != schema.NotOutlier {
		return append(dst, `,"outlier":true}}`...)
	}
	return append(dst, `,"outlier":false}}`...)
}
