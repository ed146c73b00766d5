package format

import (
	"lastseen/query/wire"
	"lastseen/schema"
)

// gpx is a GPX 1.1 track. Temperature, speed and heading are in Garmin's TrackPointExtension, version
// 2, under the prefix that some programs look for; accuracy and battery have no place there.
var gpx = Points{
	Begin: `<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="lastseen" xmlns="http://www.topografix.com/GPX/1/1" xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">
`,
	Track: &Track{
		Begin: func(dst []byte, session schema.ID) []byte {
			dst = append(dst, "<trk><name>"...)
			dst = session.AppendHex(dst)
			return append(dst, "</name><trkseg>\n"...)
		},
		End: "</trkseg></trk>\n",
	},
	Point: appendTrackPoint,
	End:   "</gpx>\n",
}

func appendTrackPoint(dst []byte, p *schema.DataPoint, _ bool) []byte {
	if p.Outlier != schema.NotOutlier {
		return dst
	}
	dst = append(dst, `<trkpt lat="`...)
	dst = wire.AppendDecimal(dst, int64(p.Latitude), 7)
	dst = append(dst, `" lon="`...)
	dst = wire.AppendDecimal(dst, int64(gpxLongitude(p.Longitude)), 7)
	dst = append(dst, `">`...)
	if p.Altitude != schema.NoAltitude {
		dst = append(dst, `<ele>`...)
		dst = wire.AppendDecimal(dst, int64(p.Altitude), 1)
		dst = append(dst, `</ele>`...)
	}
	dst = append(dst, `<time>`...)
	dst = appendBareTime(dst, p.Timestamp)
	dst = append(dst, `</time>`...)
	if wire.KnownTemperature(p) || p.Speed != schema.NoSpeed || p.Heading != schema.NoHeading {
		dst = appendTrackExtension(dst, p)
	}
	return append(dst, "</trkpt>\n"...)
}

// gpxLongitude writes the meridian of 180 degrees as GPX's schema has it, from the other side.
func gpxLongitude(longitude int32) int32 {
	if longitude == 180e7 {
		return -180e7
	}
	return longitude
}

// appendTrackExtension appends the extension's elements in the order of its schema.
func appendTrackExtension(dst []byte, p *schema.DataPoint) []byte {
	dst = append(dst, `<extensions><gpxtpx:TrackPointExtension>`...)
	if wire.KnownTemperature(p) {
		dst = append(dst, `<gpxtpx:atemp>`...)
		dst = wire.AppendTemperature(dst, p.Temperature)
		dst = append(dst, `</gpxtpx:atemp>`...)
	}
	if p.Speed != schema.NoSpeed {
		dst = append(dst, `<gpxtpx:speed>`...)
		dst = wire.AppendDecimal(dst, int64(p.Speed), 2)
		dst = append(dst, `</gpxtpx:speed>`...)
	}
	if p.Heading != schema.NoHeading {
		dst = append(dst, `<gpxtpx:course>`...)
		dst = wire.AppendDecimal(dst, int64(p.Heading), 1)
		dst = append(dst, `</gpxtpx:course>`...)
	}
	return append(dst, `</gpxtpx:TrackPointExtension></extensions>`...)
}
