package decode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/go-faster/jx"

	"lastseen/schema"
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
	// Underway, when set, counts the body from the beginning of its reading until its points are submitted or released.
	Underway *Underway
}

// Body reads a body of points. It keeps the good points when others are bad: those are in the
// Batch as rejections, each with its index and a sentence.
//
// It fails, and the body then changes nothing, with a schema.Invalid when the whole cannot be read
// (bad compression, truncated or malformed JSON, another shape at the top), with schema.TooLarge past
// the limits, with schema.Busy when the budget is used up, and with the reader's own error when the body
// broke off.
//
// Unknown fields are ignored, and of a point's field that is given twice the last counts; an object with
// "points" twice is refused. An optional value that is out of range, or says that it is unknown, is left out
// and counted. Body needs little memory beside the points whatever the body's size: a line or value may have
// 1 MiB, and only a Zstd body is taken in, compressed, before it is decoded. Reading r is all that it waits
// for long.
//
// The caller passes the Batch to Writer.Ingest, or releases it.
func Body(r io.Reader, format Format, encoding Encoding, limits Limits) (*Batch, error) {
	if limits.Points <= 0 {
		limits.Points = MaxPoints
	}
	if limits.Bytes <= 0 {
		limits.Bytes = MaxBytes
	}
	batch := newBatch(limits.Budget)
	batch.countIn(limits.Underway)
	d := decoders.Get().(*decoder)
	defer d.put()
	d.batch, d.limit, d.count, d.lines = batch, limits.Points, 0, 0
	d.source = source{r: r}
	if err := d.decode(format, encoding, limits.Bytes); err != nil {
		batch.Release()
		return nil, err
	}
	return batch, nil
}

// decoder decodes one body after another. Body takes one from the pool and puts it back; nothing in it
// outlives that.
type decoder struct {
	source     source
	compressed []byte // a Zstd body
	frames     frames
	point      pointDecoder

	batch *Batch
	limit int // of points
	count int // of points so far
	lines int // of NDJSON so far
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

func (d *decoder) put() {
	d.source, d.batch = source{}, nil
	d.frames.r, d.frames.reserve = nil, nil
	if cap(d.compressed) > 4*frameBuffer {
		d.compressed = nil
	}
	decoders.Put(d)
}

// decode reads the whole body and sorts out whose fault an error is.
func (d *decoder) decode(format Format, encoding Encoding, limit int64) error {
	err := d.decodeBody(format, encoding, limit)
	switch {
	case err == nil:
		return nil
	case d.source.err != nil:
		return fmt.Errorf("read the body: %w", d.source.err)
	case errors.Is(err, errFrameTooLong):
		return schema.Invalid.About("", "Point %d, or what stands in its place, is longer than 1 MiB.", d.count)
	case errors.Is(err, io.EOF):
		return schema.Invalid.About("", "The JSON ends before it is complete; send all of it.")
	}
	return err
}

func (d *decoder) decodeBody(format Format, encoding Encoding, limit int64) error {
	compressed, err := d.takeIn(encoding, limit)
	if err != nil {
		return err
	}
	body, release, err := decompress(compressed, encoding)
	if err != nil {
		return badCompression(encoding)
	}
	defer release()
	d.frames.reset(body, limit, d.batch.reserve)
	if format == NDJSON {
		err = d.decodeLines()
	} else {
		err = d.decodeDocument()
	}
	// What the decompressor stumbles over is neither the end, nor a limit, nor ours.
	if encoding != Identity && err != nil && err == d.frames.err &&
		err != io.EOF && err != schema.TooLarge && err != schema.Busy && err != errFrameTooLong {
		return badCompression(encoding)
	}
	return err
}

// takeIn returns the reader to decompress from. A Zstd body is read to its end first: there are few
// decoders, and none of them shall wait for a slow network.
func (d *decoder) takeIn(encoding Encoding, limit int64) (io.Reader, error) {
	if encoding != Zstd {
		return &d.source, nil
	}
	d.compressed = d.compressed[:0]
	for {
		if len(d.compressed) == cap(d.compressed) {
			grow := max(frameBuffer, cap(d.compressed))
			if err := d.batch.reserve(int64(grow)); err != nil {
				return nil, err
			}
			d.compressed = slices.Grow(d.compressed, grow)
		}
		n, err := d.source.Read(d.compressed[len(d.compressed):cap(d.compressed)])
		d.compressed = d.compressed[:len(d.compressed)+n]
		switch {
		case int64(len(d.compressed)) > limit:
			return nil, schema.TooLarge
		case err == io.EOF:
			return bytes.NewReader(d.compressed), nil
		case err != nil:
			return nil, err
		}
	}
}

func badCompression(encoding Encoding) error {
	if encoding == Gzip {
		return schema.Invalid.About("", "The body is not valid gzip data: compress it, or leave the Content-Encoding out.")
	}
	return schema.Invalid.About("", "The body is not valid Zstd data with a window of at most 8 MiB: compress it so, or leave the Content-Encoding out.")
}

// decodeLines reads NDJSON.
func (d *decoder) decodeLines() error {
	for {
		line, err := d.frames.line()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		d.lines++
		if isBlank(line) {
			continue
		}
		if err := d.decodePoint(line); err != nil {
			return err
		}
	}
}

func isBlank(line []byte) bool {
	for _, c := range line {
		if !isSpace(c) {
			return false
		}
	}
	return true
}

// decodeDocument reads JSON: the array of points, or the object that holds it.
func (d *decoder) decodeDocument() error {
	c, err := d.frames.peek()
	if err == io.EOF {
		return schema.Invalid.About("", "The body is empty: send an object with points, or an array of points.")
	}
	if err != nil {
		return err
	}
	switch c {
	case '[':
		err = d.decodeArray()
	case '{':
		err = d.decodeObject()
	default:
		err = schema.Invalid.About("", "The body must be an object with points, or an array of points.")
	}
	if err != nil {
		return err
	}
	switch _, err = d.frames.peek(); err {
	case nil:
		return schema.Invalid.About("", "Something follows the end of the JSON; send one document, or one point a line as application/x-ndjson.")
	case io.EOF:
		return nil
	}
	return err
}

// decodeArray reads the points of the array that comes next.
func (d *decoder) decodeArray() error {
	d.frames.next() // the bracket that the caller saw
	if c, err := d.frames.peek(); err != nil || c == ']' {
		d.frames.next()
		return err
	}
	for {
		text, err := d.frames.value()
		if err != nil {
			return err
		}
		if err := d.decodePoint(text); err != nil {
			return err
		}
		c, err := d.frames.next()
		switch {
		case err != nil:
			return err
		case c == ']':
			return nil
		case c != ',':
			return schema.Invalid.About("", "There must be a comma or the array's end after point %d.", d.count-1)
		}
	}
}

// decodeObject reads the object that comes next and the points in it, which it must have once.
func (d *decoder) decodeObject() error {
	d.frames.next() // the brace that the caller saw
	found := false
	verdict := schema.Invalid.About("points", "The object must have points, an array.")
	if c, err := d.frames.peek(); err != nil {
		return err
	} else if c == '}' {
		return verdict
	}
	for {
		isPoints, err := d.memberName()
		if err != nil {
			return err
		}
		if isPoints && found {
			return schema.Invalid.About("points", "The object has points twice: send all of them in one array.")
		}
		if isPoints {
			found = true
			verdict, err = d.decodePoints()
		} else {
			err = d.skipValue()
		}
		if err != nil {
			return err
		}
		c, err := d.frames.next()
		switch {
		case err != nil:
			return err
		case c == '}':
			return verdict
		case c != ',':
			return errMalformed
		}
	}
}

var errMalformed = schema.Invalid.About("", "The body is not valid JSON; correct what makes it.")

// memberName reads a member's name and the colon after it, and tells whether it is "points".
func (d *decoder) memberName() (bool, error) {
	text, err := d.frames.value()
	if err != nil {
		return false, err
	}
	if !valid(text) || text[0] != '"' {
		return false, errMalformed
	}
	d.point.json.ResetBytes(text)
	name, err := d.point.json.StrBytes()
	if err != nil {
		return false, errMalformed
	}
	isPoints := string(name) == "points"
	c, err := d.frames.next()
	if err == nil && c != ':' {
		err = errMalformed
	}
	return isPoints, err
}

// decodePoints reads the value of "points". The verdict says whether it is an array at all.
func (d *decoder) decodePoints() (verdict, err error) {
	c, err := d.frames.peek()
	if err != nil {
		return nil, err
	}
	if c == '[' {
		return nil, d.decodeArray()
	}
	return schema.Invalid.About("points", "This must be an array of points."), d.skipValue()
}

// skipValue reads a value that means nothing to us, but must be valid.
func (d *decoder) skipValue() error {
	text, err := d.frames.value()
	if err == nil && !valid(text) {
		err = errMalformed
	}
	return err
}

func valid(text []byte) bool {
	return utf8.Valid(text) && jx.Valid(text)
}

// decodePoint reads one point and puts it, or its rejection, into the batch.
func (d *decoder) decodePoint(text []byte) error {
	if d.count == d.limit {
		return schema.TooLarge
	}
	index := d.count
	d.count++
	detail, err := d.point.decode(text)
	if err != nil || !utf8.Valid(text) {
		if d.lines > 0 {
			return schema.Invalid.About("", "Line %d is not valid JSON; correct what makes it.", d.lines)
		}
		return schema.Invalid.About("", "Point %d is not valid JSON; correct what makes it.", index)
	}
	if detail != "" {
		return d.batch.reject(index, detail)
	}
	d.batch.Dropped += d.point.dropped
	return d.batch.add(index, &d.point.point, &d.point.ref)
}
