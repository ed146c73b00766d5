package console

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// File is one file of the console. It is shared: nobody may change its bytes.
type File struct {
	Path        string // where it is served
	ContentType string
	// ETag is a strong validator, quoted, of the bytes.
	ETag string
	// CacheControl is no-store for pages, so that a browser does not bring one back with what was
	// on it, and no-cache for all else: a new version of the service is seen at once, and an old
	// file costs a 304.
	CacheControl string
	Body         []byte

	gzipped func() []byte
}

// Gzipped returns the body in gzip, made when it is first asked for, or nil where that is not smaller.
func (f *File) Gzipped() []byte { return f.gzipped() }

// GzipETag is the validator of what Gzipped returns.
func (f *File) GzipETag() string { return strings.TrimSuffix(f.ETag, `"`) + `-gzip"` }

func compressOnce(body []byte) func() []byte {
	return sync.OnceValue(func() []byte {
		var out bytes.Buffer
		w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
		if err == nil {
			_, err = w.Write(body)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil { // nothing is written but to memory
			panic(fmt.Errorf("compress a file of the console: %w", err))
		}
		if out.Len() >= len(body) {
			return nil
		}
		return bytes.Clone(out.Bytes())
	})
}
