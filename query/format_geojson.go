package query

import "lastseen/schema"

// geoJSON is a FeatureCollection: the Feature that is a point's location in the JSON of a data point,
// with everything else that is known of the point among its properties.
var geoJSON = pointFormat{
	begin: func(dst []byte, _ schema.ID) []byte {
		return append(dst, `{"type":"FeatureCollection","features":[`...)
	},
	point: appendFeature,
	end:   `]}`,
}

func appendFeature(dst []byte, p *schema.DataPoint, first bool) []byte {
	if !first {
		dst = append(dst, ',')
	}
	dst = appendLocation(dst, p)
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
	dst = appendTime(dst, p.Timestamp)
	dst = append(dst, `,"received_at_timestamp":`...)
	dst = appendTime(dst, p.ReceivedAt)
	if knownTemperature(p) {
		dst = append(dst, `,"temperature":`...)
		dst = appendTemperature(dst, p.Temperature)
	}
	if p.Outlier != schema.NotOutlier {
		return append(dst, `,"outlier":true}}`...)
	}
	return append(dst, `,"outlier":false}}`...)
}
