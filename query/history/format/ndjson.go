package format

import (
	"lastseen/query/wire"
	"lastseen/schema"
)

// ndjson is newline-delimited JSON.
var ndjson = Points{
	Point: func(dst []byte, p *schema.DataPoint, _ bool) []byte {
		return append(wire.AppendDataPoint(dst, p), '\n')
	},
}
