package query

import (
	"strconv"

	"lastseen/schema"
)

// Format is how a history is written.
type Format uint8

// The formats of a history. Stationary clusters are in FormatJSON only.
const (
	// FormatJSON is one document: {"data_points":[…],"stationary_clusters":[…]}.
	FormatJSON Format = iota
	// FormatNDJSON is a data point a line, each as it is in FormatJSON.
	FormatNDJSON
	// FormatCSV is a table with a header row; what is unknown is empty.
	FormatCSV
	// FormatGeoJSON is a FeatureCollection (RFC 7946) with a Feature a point.
	FormatGeoJSON
	// FormatGPX is a GPX 1.1 track of one segment. GPX has no word for outliers, and a track says
	// where something went, so they are left out.
	FormatGPX
	// FormatParquet is an Apache Parquet file, written by ClickHouse, with the columns of FormatCSV.
	FormatParquet
	// FormatArrow is an Apache Arrow IPC stream, written by ClickHouse, with the columns of FormatCSV.
	FormatArrow
	formatCount
)

// formats says of each format what it is called and how it is written.
var formats = [formatCount]struct {
	name, contentType string
	write             *pointFormat        // nil where it is not written point by point
	export            schema.ExportFormat // where ClickHouse writes it
}{
	FormatJSON:    {name: "json", contentType: "application/json"},
	FormatNDJSON:  {name: "ndjson", contentType: "application/x-ndjson", write: &ndjson},
	FormatCSV:     {name: "csv", contentType: "text/csv; charset=utf-8", write: &csv},
	FormatGeoJSON: {name: "geojson", contentType: "application/geo+json", write: &geoJSON},
	FormatGPX:     {name: "gpx", contentType: "application/gpx+xml", write: &gpx},
	FormatParquet: {name: "parquet", contentType: "application/vnd.apache.parquet", export: schema.ExportParquet},
	FormatArrow:   {name: "arrow", contentType: "application/vnd.apache.arrow.stream", export: schema.ExportArrow},
}

// Formats returns every format, FormatJSON first.
func Formats() []Format {
	all := make([]Format, formatCount)
	for i := range all {
		all[i] = Format(i)
	}
	return all
}

// String returns the format's name as a request writes it.
func (f Format) String() string {
	if f >= formatCount {
		return "format " + strconv.Itoa(int(f))
	}
	return formats[f].name
}

// ContentType returns the media type of what is written, with its parameters, and an empty text for
// what is no format.
func (f Format) ContentType() string {
	if f >= formatCount {
		return ""
	}
	return formats[f].contentType
}

// pointFormat is a format that is written point by point. Its functions append to dst and return it;
// a point takes less than pointRoom.
type pointFormat struct {
	begin func(dst []byte, session schema.ID) []byte
	// point appends one point; first says that none is before it.
	point func(dst []byte, p *schema.DataPoint, first bool) []byte
	end   string
}

// appendNumber appends value / 10^decimals, and nothing for the value that stands for none.
func appendNumber(dst []byte, value, none int64, decimals int) []byte {
	if value == none {
		return dst
	}
	return appendDecimal(dst, value, decimals)
}

// appendBareTime appends what appendTime does, without its quotes.
func appendBareTime(dst []byte, unixMillis int64) []byte {
	start := len(dst)
	dst = appendTime(dst, unixMillis)
	copy(dst[start:], dst[start+1:len(dst)-1])
	return dst[:len(dst)-2]
}
