// Package licenses has the notices of everything that is linked into lastseen, embedded in it or shipped beside it: the Go
// modules, what ClickHouse's engine is made of, and what the console's pages use. generate makes its files; `make notices`
// runs that after a change of go.mod or of the engine.
package licenses

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"lastseen/server/console"
)

// modules are the notices of the Go modules and of Go itself.
//
//go:embed modules.txt
var modules string

// engine are the notices of libchdb, as the engine tells them of itself. They are ten times as many.
//
//go:embed engine.txt.zst
var engine []byte

const introduction = `lastseen's own licence is in LICENSE.md of its source and its packages. It is made with the work of others, whose notices
follow: Go and its modules, the ClickHouse engine (in libchdb.so, which the packages have beside the program), and what the
console's pages are made of.

`

// Write writes all notices as text, about a megabyte.
func Write(w io.Writer) error {
	if _, err := io.WriteString(w, introduction+modules); err != nil {
		return fmt.Errorf("write the notices: %w", err)
	}
	decoder, err := zstd.NewReader(bytes.NewReader(engine), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("read the engine's notices: %w", err)
	}
	defer decoder.Close()
	if _, err := decoder.WriteTo(w); err != nil {
		return fmt.Errorf("write the engine's notices: %w", err)
	}
	if _, err := w.Write(console.Licenses()); err != nil {
		return fmt.Errorf("write the notices of the console: %w", err)
	}
	return nil
}
