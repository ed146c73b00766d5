package stream

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// leastEncoded is how long an answer must be, in bytes, for an encoding to make it smaller.
	leastEncoded = 256
	// encodedPiece is about how much of an encoded answer is sent at a time.
	encodedPiece = 32 << 10
	// zstdWindow bounds how much an encoder of zstd remembers.
	zstdWindow = 512 << 10
)

// encoder is what makes an encoded answer. Without Close what it has written lacks the end.
type encoder interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// pooledEncoder is an encoder with what collects its output, which comes in small parts.
type pooledEncoder struct {
	encoder
	out bytes.Buffer
}

// encoders are the encoders that no answer uses.
var encoders = [...]sync.Pool{
	Gzip: {New: func() any {
		e, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		return newPooledEncoder(e, err)
	}},
	Zstd: {New: func() any {
		// With a concurrency of one no goroutine is left behind when an answer is cut.
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		return newPooledEncoder(e, err)
	}},
}

func newPooledEncoder(e encoder, err error) *pooledEncoder {
	if err != nil { // the settings are constants
		panic(fmt.Errorf("make an encoder: %w", err))
	}
	return &pooledEncoder{encoder: e}
}

// encoded is a source whose pieces are those of another in a content coding. Without its end the form of a part cannot be
// taken for that of the whole.
type encoded struct {
	Source
	coding  Coding
	encoder *pooledEncoder
	taken   [][]byte // from the source before, and not encoded yet
	through bool     // the source
	ended   bool     // what is encoded
}

// encode returns an answer in a content coding, of which one or two pieces, and maybe all, were taken from the source
// before. The second must live until the source is asked again.
func encode(from Source, as Coding, first, second []byte, more bool) Source {
	e := &encoded{Source: from, coding: as, encoder: encoders[as].Get().(*pooledEncoder), taken: [][]byte{first, second}, through: !more}
	e.encoder.out.Reset()
	e.encoder.Reset(&e.encoder.out)
	return e
}

// Next returns at most encodedPiece bytes.
func (e *encoded) Next() ([]byte, error) {
	out := &e.encoder.out
	for !e.ended && out.Len() < encodedPiece {
		if err := e.add(); err != nil {
			return nil, err
		}
	}
	if out.Len() == 0 {
		return nil, io.EOF
	}
	return out.Next(encodedPiece), nil
}

// add encodes another piece of the source, or the end.
func (e *encoded) add() error {
	piece, err := e.plain()
	switch err {
	case nil:
		_, err = e.encoder.Write(piece)
	case io.EOF:
		e.ended = true
		err = e.encoder.Close()
	default:
		return err
	}
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	return nil
}

// plain returns the next piece that is not encoded yet.
func (e *encoded) plain() (piece []byte, err error) {
	if len(e.taken) > 0 {
		piece, e.taken = e.taken[0], e.taken[1:]
		return piece, nil
	}
	if e.through {
		return nil, io.EOF
	}
	return e.Source.Next()
}

// Close closes the source and gives the encoder back. It may be called again.
func (e *encoded) Close() error {
	if e.encoder != nil {
		e.encoder.Reset(nil)
		encoders[e.coding].Put(e.encoder)
		e.encoder = nil
	}
	return e.Source.Close()
}
