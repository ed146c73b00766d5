package server

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"lastseen/server/input"
)

// coding is a content coding of answers.
type coding uint8

const (
	identity coding = iota
	gzipCoding
	zstdCoding
)

// codingNames are the codings as headers name them.
var codingNames = [...]string{identity: "identity", gzipCoding: "gzip", zstdCoding: "zstd"}

// acceptedCoding returns the coding that a client likes best of those that it names; of two that it
// likes equally zstd wins, which is both the faster and the smaller. A client that names none gets
// the answer as it is, unless it refuses that and takes whatever else there is (*).
func acceptedCoding(accepted []input.Preference) coding {
	const unnamed = -1
	weights, any := [...]int{unnamed, unnamed, unnamed}, unnamed
	for _, p := range accepted {
		switch p.Value {
		case "*":
			any = max(any, p.Weight)
		case "identity":
			weights[identity] = max(weights[identity], p.Weight)
		case "gzip", "x-gzip":
			weights[gzipCoding] = max(weights[gzipCoding], p.Weight)
		case "zstd":
			weights[zstdCoding] = max(weights[zstdCoding], p.Weight)
		}
	}
	best := identity
	for _, c := range []coding{gzipCoding, zstdCoding} {
		if weights[c] > 0 && weights[c] >= weights[best] {
			best = c
		}
	}
	refused := weights[identity] == 0 || weights[identity] == unnamed && any == 0
	if best != identity || !refused || any <= 0 {
		return best
	}
	for _, c := range []coding{gzipCoding, zstdCoding} {
		if weights[c] == unnamed {
			return c
		}
	}
	return identity
}

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
	out *bufio.Writer
}

// encoders are the encoders that no answer uses.
var encoders = [...]sync.Pool{
	gzipCoding: {New: func() any {
		e, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		return newPooledEncoder(e, err)
	}},
	zstdCoding: {New: func() any {
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
	return &pooledEncoder{encoder: e, out: bufio.NewWriterSize(nil, encodedPiece)}
}

// encoded returns the pieces of an answer's encoded form. whole says, when the pieces have come to an
// end, whether they are the whole answer: the form of a part has no end either.
func encoded(c coding, plain iter.Seq[[]byte], whole func() bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		e := encoders[c].Get().(*pooledEncoder)
		defer func() {
			e.out.Reset(nil)
			e.Reset(nil)
			encoders[c].Put(e)
		}()
		e.out.Reset(pieces(yield))
		e.Reset(e.out)
		for piece := range plain {
			if _, err := e.Write(piece); err != nil {
				return // nobody wants the rest
			}
		}
		if whole() && e.Close() == nil {
			_ = e.out.Flush() // fails when nobody wants the rest
		}
	}
}
