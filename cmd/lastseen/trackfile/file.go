package trackfile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Format is how a file is laid out.
type Format string

// The formats. Auto goes by the file's name and, where that says nothing, by how it begins.
const (
	Auto    Format = "auto"
	CSV     Format = "csv"
	NDJSON  Format = "ndjson"
	JSON    Format = "json"
	GPX     Format = "gpx"
	GeoJSON Format = "geojson"
)

// Options says how to read a file.
type Options struct {
	// Format is Auto when empty. Compression is seen from the bytes, whatever the format.
	Format  Format
	Mapping Mapping
	// Device names the device of fixes whose row names none; empty means the track's name in a GPX
	// file, and the file's own name without folder and extensions elsewhere.
	Device string
}

// file is one reading of one file.
type file struct {
	device      string // of rows that name none
	deviceGiven bool   // by Options
	resolver    *resolver
	yield       func(Fix, error) bool
	stopped     bool // by whoever ranges over the fixes
}

// Read yields the fixes of a file in its order. An error that is a *RowError stands for one row and
// reading goes on; any other error is the last thing yielded. name is the file's name; in is not
// closed. The sequence can be ranged over once.
func Read(in io.Reader, name string, options Options) iter.Seq2[Fix, error] {
	return func(yield func(Fix, error) bool) {
		f := &file{device: options.Device, deviceGiven: options.Device != "", resolver: newResolver(options.Mapping)}
		f.yield = func(fix Fix, err error) bool {
			f.stopped = f.stopped || !yield(fix, err)
			return !f.stopped
		}
		if f.device == "" {
			f.device = stem(name)
		}
		if err := f.read(in, name, options.Format); err != nil && !f.stopped {
			yield(Fix{}, err)
		}
	}
}

// emit yields a record's fix and reports whether to go on.
func (f *file) emit(rec *record) bool {
	return f.emitAs(rec, f.device)
}

// emitAs is emit for a record that belongs to a device unless it names another one itself.
func (f *file) emitAs(rec *record, device string) bool {
	return f.yield(f.resolver.fix(rec, device))
}

// read undoes the compression and reads by the format.
func (f *file) read(in io.Reader, name string, format Format) error {
	const ahead = 64 << 10 // what telling formats and delimiters apart may look at
	plain := bufio.NewReaderSize(in, ahead)
	if start, _ := plain.Peek(2); bytes.Equal(start, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(plain)
		if err != nil {
			return fmt.Errorf("undo the gzip compression: %w", err)
		}
		defer unzipped.Close()
		plain = bufio.NewReaderSize(unzipped, ahead)
	}
	if start, _ := plain.Peek(3); bytes.Equal(start, []byte("\xef\xbb\xbf")) { // a byte order mark
		if _, err := plain.Discard(3); err != nil {
			return err
		}
	}
	if format == Auto || format == "" {
		format = formatOf(name, plain)
	}
	switch format {
	case CSV:
		return f.readCSV(plain)
	case NDJSON:
		return f.readNDJSON(plain)
	case JSON:
		return f.readJSONArray(plain)
	case GPX:
		return f.readGPX(plain)
	case GeoJSON:
		return f.readGeoJSON(plain)
	}
	return fmt.Errorf("the format %q is none of csv, ndjson, json, gpx and geojson", format)
}

// formatOf tells a file's format from its name or from how it begins.
func formatOf(name string, in *bufio.Reader) Format {
	switch strings.ToLower(filepath.Ext(strings.TrimSuffix(name, ".gz"))) {
	case ".csv", ".tsv", ".txt":
		return CSV
	case ".ndjson", ".jsonl":
		return NDJSON
	case ".gpx":
		return GPX
	case ".geojson":
		return GeoJSON
	}
	start, _ := in.Peek(4096)
	start = bytes.TrimSpace(start)
	switch {
	case bytes.HasPrefix(start, []byte("[")):
		return JSON
	case bytes.HasPrefix(start, []byte("<")):
		return GPX
	case bytes.HasPrefix(start, []byte("{")) && bytes.Contains(start, []byte(`"Feature`)):
		return GeoJSON
	case bytes.HasPrefix(start, []byte("{")):
		return NDJSON
	}
	return CSV
}

// stem is a file's name without its folder and its extensions.
func stem(name string) string {
	base := filepath.Base(name)
	base = strings.TrimSuffix(base, ".gz")
	return strings.TrimSuffix(base, filepath.Ext(base))
}
