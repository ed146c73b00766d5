package decode

import (
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow is the window that RFC 8878 asks every decoder to support, and what `zstd -19` uses.
const maxZstdWindow = 8 << 20

// gzipReaders keeps decompressors of some 50 KiB each. decompress takes one, and the function that
// it returns puts it back.
var gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}

// zstdDecoders holds the Zstd decoders there may be, each of which can come to hold its window. Nil
// stands for one that is yet to be made. Decompressing keeps a core busy, so more decoders than
// cores would only hold more memory.
var zstdDecoders = func() chan *zstd.Decoder {
	decoders := make(chan *zstd.Decoder, runtime.GOMAXPROCS(0))
	for range cap(decoders) {
		decoders <- nil
	}
	return decoders
}()

// decompress returns a reader of what r holds, and a function that must be called when it is no
// longer needed.
func decompress(r io.Reader, encoding Encoding) (io.Reader, func(), error) {
	switch encoding {
	case Identity:
		return r, func() {}, nil
	case Gzip:
		z := gzipReaders.Get().(*gzip.Reader)
		// Resetting it on no data makes it forget r; the error is that there are none.
		release := func() { z.Reset(eof{}); gzipReaders.Put(z) }
		if err := z.Reset(r); err != nil {
			release()
			return nil, nil, err
		}
		return z, release, nil
	case Zstd:
		z := <-zstdDecoders // r is in memory, so that whoever has one gives it back soon
		var err error
		if z == nil {
			z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecodeBuffersBelow(0))
			if err != nil {
				zstdDecoders <- nil
				return nil, nil, fmt.Errorf("make a Zstd decoder: %w", err)
			}
		}
		release := func() { z.Reset(nil); zstdDecoders <- z }
		if err := z.Reset(r); err != nil {
			release()
			return nil, nil, err
		}
		return z, release, nil
	}
	return nil, nil, fmt.Errorf("the encoding %d is unknown", encoding)
}

// eof is a reader of nothing.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// source remembers what the reader of a body failed with, which tells a body that broke off from
// one that is badly compressed.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
