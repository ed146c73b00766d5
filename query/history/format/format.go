package format

import (
	"strconv"

	"lastseen/query/wire"
	"lastseen/schema"
)

// Format is how a history is written.
type Format uint8

// The formats of a history. Stationary clusters are in JSON only.
const (
	// JSON is one document: {"data_points":[…],"stationary_clusters":[…]}.
	JSON Format = iota
	// NDJSON is a data point a line, each as it is in JSON.
	NDJSON
	// CSV is a table with a header row; what is unknown is empty.
	CSV
	// GeoJSON is a FeatureCollection (RFC 7946) with a Feature a point.
	GeoJSON
	// GPX is a GPX 1.1 track of one segment. GPX has no word for outliers, and a track says
	// where something went, so they are left out.
	GPX
	// Parquet is an Apache Parquet file, written by ClickHouse, with the columns of CSV.
	Parquet
	// Arrow is an Apache Arrow IPC stream, written by ClickHouse, with the columns of CSV.
	Arrow
	count
)

// formats says of each format what it is called and how it is written.
var formats = [count]struct {
	name, contentType string
	points            *Points             // nil where it is not written point by point
	export            schema.ExportFormat // where ClickHouse writes it
}{
	JSON:    {name: "json", contentType: "application/json"},
	NDJSON:  {name: "ndjson", contentType: "application/x-ndjson", points: &ndjson},
	CSV:     {name: "csv", contentType: "text/csv; charset=utf-8", points: &csv},
	GeoJSON: {name: "geojson", contentType: "application/geo+json", points: &geoJSON},
	GPX:     {name: "gpx", contentType: "application/gpx+xml", points: &gpx},
	Parquet: {name: "parquet", contentType: "application/vnd.apache.parquet", export: schema.ExportParquet},
	Arrow:   {name: "arrow", contentType: "application/vnd.apache.arrow.stream", export: schema.ExportArrow},
}

// All returns every format, JSON first.
func All() []Format {
	all := make([]Format, count)
	for i := range all {
		all[i] = Format(i)
	}
	return all
}

// String returns the format's name as a request writes it.
func (f Format) String() string {
	if !f.Valid() {
		return "format " + strconv.Itoa(int(f))
	}
	return formats[f].name
}

// ContentType returns the media type of what is written, with its parameters, and an empty text for
// what is no format.
func (f Format) ContentType() string {
	if !f.Valid() {
		return ""
	}
	return formats[f].contentType
}

// Valid reports whether it is one of the formats.
func (f Format) Valid() bool { return f < count }

// Points returns how the format is written point by point, and nil where it is not.
func (f Format) Points() *Points { return formats[f].points }

// Export returns the format in which ClickHouse writes it, and an empty text where ClickHouse does not.
func (f Format) Export() schema.ExportFormat { return formats[f].export }

// Points is a format that is written point by point. Its functions append to dst and return it;
// a point takes less than pointRoom, and so does the beginning of a track with an end before it.
type Points struct {
	Begin string
	// Track is around the points of one session, of which there may be none; nil where each point says whose it is.
	Track *Track
	// Point appends one point; first says that none is before it.
	Point func(dst []byte, p *schema.DataPoint, first bool) []byte
	End   string
}

// Track is what a format writes before and after points of one session that follow each other.
type Track struct {
	Begin func(dst []byte, session schema.ID) []byte
	End   string
}

// appendNumber appends value / 10^decimals, and nothing for the value that stands for none.
func appendNumber(dst []byte, value, none int64, decimals int) []byte {
	if value == none {
		return dst
	}
	return wire.AppendDecimal(dst, value, decimals)
}

// appendBareTime appends what wire.AppendTime does, without its quotes.
func appendBareTime(dst []byte, unixMillis int64) []byte {
	start := len(dst)
	dst = wire.AppendTime(dst, unixMillis)
	copy(dst[start:], dst[start+1:len(dst)-1])
	return dst[:len(dst)-2]
}
