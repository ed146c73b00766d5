package trackfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// lineDecoder is a JSON decoder that knows on which line an offset is.
type lineDecoder struct {
	*json.Decoder
	lines *lineIndex
}

func newLineDecoder(in io.Reader) *lineDecoder {
	lines := &lineIndex{in: in}
	return &lineDecoder{Decoder: json.NewDecoder(lines), lines: lines}
}

// line returns the line of an offset, which must not be before that of an earlier call.
func (d *lineDecoder) line(offset int64) int {
	return d.lines.line(offset)
}

// wrap says on which line reading stopped. Nothing after it can be read.
func (d *lineDecoder) wrap(err error) error {
	offset := d.InputOffset()
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		offset = max(offset, syntax.Offset-1)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err, offset = io.ErrUnexpectedEOF, d.lines.offset
	}
	return fmt.Errorf("line %d is not JSON, and nothing after it was read: %w", d.line(offset), err)
}

// lineIndex passes bytes on and remembers where the lines end that nobody has asked about yet.
type lineIndex struct {
	in     io.Reader
	offset int64   // of the next byte to read
	ends   []int64 // offsets of the line feeds after the last line asked for
	passed int     // line feeds before that
}

// Read implements io.Reader.
func (l *lineIndex) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			l.ends = append(l.ends, l.offset+int64(i))
		}
	}
	l.offset += int64(n)
	return n, err
}

func (l *lineIndex) line(offset int64) int {
	n := 0
	for n < len(l.ends) && l.ends[n] < offset {
		n++
	}
	l.passed += n
	l.ends = append(l.ends[:0], l.ends[n:]...)
	return l.passed + 1
}

// skip passes over the rest of the object or array that the decoder has entered.
func (d *lineDecoder) skip() error {
	for depth := 1; depth > 0; {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
	return nil
}
