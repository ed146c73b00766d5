package query

import "lastseen/schema"

// NoPointETag is the entity tag of the answer null.
const NoPointETag = `"none"`

// AppendDataPoint appends the JSON of a data point to dst, without allocating when dst has room
// (512 bytes are enough).
func AppendDataPoint(dst []byte, p *schema.DataPoint) []byte { return dst }

// AppendETag appends the strong entity tag, quotes included, of the last_seen answer that shows p.
func AppendETag(dst []byte, p *schema.DataPoint) []byte { return dst }
