package ingest

import (
	"errors"
	"io"
)

// Format is how a body writes its points.
type Format uint8

const (
	// JSON is one object with an array "points", or the array itself.
	JSON Format = iota
	// NDJSON is one JSON object a line; blank lines are skipped.
	NDJSON
)

// Encoding is how a body is compressed.
type Encoding uint8

const (
	// Identity is no compression.
	Identity Encoding = iota
	// Gzip is RFC 1952, several members allowed.
	Gzip
	// Zstd is RFC 8878, several frames allowed, with windows of at most 8 MiB.
	Zstd
)

const (
	// MaxPoints is the number of points that a body may hold.
	MaxPoints = 100_000
	// MaxBytes is the number of bytes that a body may have after decompression.
	MaxBytes = 32 << 20
)

// Limits bound a body. Zero values mean MaxPoints, MaxBytes and no budget.
type Limits struct {
	Points int   // how many points, good and bad
	Bytes  int64 // how many bytes after decompression
	// Budget, when set, is where the memory of the points is taken from; the Batch holds it until
	// it is released or written.
	Budget *Budget
}

// Decode reads a body of points. It keeps the good points when others are bad: those are in the
// Batch as rejections, each with its index and a sentence.
//
// It fails, and the body then changes nothing, with an *InvalidError when the whole cannot be read
// (bad compression, truncated or malformed JSON, another shape at the top), with ErrTooLarge past
// the limits, with ErrBusy when the budget is used up, and with the reader's own error when the body
// broke off.
//
// Unknown fields are ignored, and of a field that is given twice the last counts. It needs little
// memory beside the points whatever the body's size. It waits for a turn to decompress Zstd, so r
// should be in memory or have a deadline.
//
// The caller passes the Batch to Writer.Ingest, or releases it.
func Decode(r io.Reader, format Format, encoding Encoding, limits Limits) (*Batch, error) {
	return nil, errors.New("not there yet")
}
