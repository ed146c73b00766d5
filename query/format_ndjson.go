package query

import "lastseen/schema"

// ndjson is newline-delimited JSON.
var ndjson = pointFormat{
	begin: func(dst []byte, _ schema.ID) []byte { return dst },
	point: func(dst []byte, p *schema.DataPoint, _ bool) []byte { return append(AppendDataPoint(dst, p), '\n') },
}
