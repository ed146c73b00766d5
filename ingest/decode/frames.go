package decode

import (
	"bytes"
	"errors"
	"io"

	"lastseen/schema"
)

const (
	// frameBuffer is what a decoder reads at a time, and keeps for the next body.
	frameBuffer = 64 << 10
	// maxFrame bounds a single line or value, so that no body makes a decoder hold much.
	maxFrame = 1 << 20
)

// errFrameTooLong is returned for a line or value longer than maxFrame.
var errFrameTooLong = errors.New("longer than 1 MiB")

// frames cuts a stream into lines or into JSON values without holding more than one of them. It
// finds where a value ends and no more: whether it is valid is for who reads it to say. What it
// returns lives until the next call.
type frames struct {
	r     io.Reader
	left  int64  // bytes that may still be read
	buf   []byte // its capacity is the buffer, its contents what was read
	start int    // of what was not returned yet
	err   error  // of the reader; io.EOF at the end

	reserve func(bytes int64) error // is asked before the buffer grows
}

// reset makes f read from r, at most limit bytes. What reserve fails with is f's error then.
func (f *frames) reset(r io.Reader, limit int64, reserve func(int64) error) {
	if cap(f.buf) == 0 || cap(f.buf) > 4*frameBuffer {
		f.buf = make([]byte, 0, frameBuffer)
	}
	*f = frames{r: r, left: limit, buf: f.buf[:0], reserve: reserve}
}

// fill reads more behind what was not returned yet, which it may move to the buffer's front. The
// error is io.EOF at the end, schema.TooLarge past the limit, reserve's, or the reader's.
func (f *frames) fill() error {
	if f.err != nil {
		return f.err
	}
	if f.start > 0 {
		f.buf = f.buf[:copy(f.buf, f.buf[f.start:])]
		f.start = 0
	}
	if len(f.buf) == cap(f.buf) {
		if len(f.buf) >= maxFrame {
			f.err = errFrameTooLong
			return f.err
		}
		if f.err = f.reserve(int64(cap(f.buf))); f.err != nil {
			return f.err
		}
		grown := make([]byte, len(f.buf), 2*cap(f.buf))
		copy(grown, f.buf)
		f.buf = grown
	}
	n, err := io.ReadAtLeast(f.r, f.buf[len(f.buf):cap(f.buf)], 1)
	f.buf = f.buf[:len(f.buf)+n]
	f.left -= int64(n)
	if f.left < 0 {
		err = schema.TooLarge
	}
	f.err = err
	return err
}

// line returns the next line without its end, or io.EOF after the last one.
func (f *frames) line() ([]byte, error) {
	searched := 0
	for {
		if i := bytes.IndexByte(f.buf[f.start+searched:], '\n'); i >= 0 {
			line := f.buf[f.start : f.start+searched+i]
			f.start += searched + i + 1
			return line, nil
		}
		searched = len(f.buf) - f.start
		if err := f.fill(); err != nil {
			if errors.Is(err, io.EOF) && searched > 0 {
				return f.take(searched), nil
			}
			return nil, err
		}
	}
}

// take returns the next n bytes, which are in the buffer.
func (f *frames) take(n int) []byte {
	f.start += n
	return f.buf[f.start-n : f.start]
}

// peek returns the next byte that is no white space and leaves it there, or io.EOF.
func (f *frames) peek() (byte, error) {
	for {
		for ; f.start < len(f.buf); f.start++ {
			if c := f.buf[f.start]; !isSpace(c) {
				return c, nil
			}
		}
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
}

// next returns the next byte that is no white space.
func (f *frames) next() (byte, error) {
	c, err := f.peek()
	if err == nil {
		f.start++
	}
	return c, err
}

// value returns the text of the next JSON value.
func (f *frames) value() ([]byte, error) {
	c, err := f.peek()
	if err != nil {
		return nil, err
	}
	var n int
	switch c {
	case '{', '[':
		n, err = f.bracketed()
	case '"':
		n, err = f.quoted(1)
	default:
		n, err = f.word()
	}
	if err != nil {
		return nil, err
	}
	return f.take(n), nil
}

// structural are the bytes that bracketed has to look at.
var structural = func() (table [256]bool) {
	for _, c := range []byte(`{}[]"`) {
		table[c] = true
	}
	return table
}()

// bracketed returns the length of the object or array that begins here.
func (f *frames) bracketed() (int, error) {
	depth, i := 0, 0
	for {
		rest := f.buf[f.start+i:]
		at := 0
		for at < len(rest) && !structural[rest[at]] {
			at++
		}
		i += at
		if at == len(rest) {
			if err := f.fill(); err != nil {
				return 0, err
			}
			continue
		}
		i++
		switch rest[at] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i, nil
			}
		case '"':
			var err error
			if i, err = f.quoted(i); err != nil {
				return 0, err
			}
		}
	}
}

// quoted returns where the string ends whose first character is i bytes from here.
func (f *frames) quoted(i int) (int, error) {
	for {
		rest := f.buf[f.start+i:]
		quote := bytes.IndexByte(rest, '"')
		if quote < 0 {
			quote = len(rest)
		}
		if escape := bytes.IndexByte(rest[:quote], '\\'); escape >= 0 {
			if escape+1 < len(rest) {
				i += escape + 2
				continue
			}
			i += escape // the character after it is not there yet
		} else if quote < len(rest) {
			return i + quote + 1, nil
		} else {
			i += quote
		}
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
}

// word returns the length of the number or literal that begins here.
func (f *frames) word() (int, error) {
	for i := 1; ; {
		for ; f.start+i < len(f.buf); i++ {
			if c := f.buf[f.start+i]; isSpace(c) || c == ',' || c == ']' || c == '}' || c == ':' {
				return i, nil
			}
		}
		if err := f.fill(); err != nil {
			if errors.Is(err, io.EOF) {
				return i, nil
			}
			return 0, err
		}
	}
}

// isSpace tells JSON's white space.
func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r'
}
