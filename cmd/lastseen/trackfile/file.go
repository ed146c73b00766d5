package trackfile

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Format is how a file is laid out.
type Format string

// The formats. Auto goes by how the file begins and, where that says nothing, by its name.
const (
	Auto      Format = "auto"
	CSV       Format = "csv"
	NDJSON    Format = "ndjson"
	JSON      Format = "json" // one document: an array, an object that holds a list, also Google's and OwnTracks' exports
	GPX       Format = "gpx"
	GeoJSON   Format = "geojson"
	KML       Format = "kml"
	TCX       Format = "tcx"
	FIT       Format = "fit"
	NMEA      Format = "nmea"
	PLT       Format = "plt"
	OwnTracks Format = "owntracks" // the recorder's .rec files
)

// readers reads each format.
var readers = map[Format]func(*file, *bufio.Reader) error{
	CSV: (*file).readCSV, NDJSON: (*file).readNDJSON, JSON: (*file).readJSON, GeoJSON: (*file).readJSON, GPX: (*file).readGPX,
	KML: (*file).readKML, TCX: (*file).readTCX, FIT: (*file).readFIT, NMEA: (*file).readNMEA, PLT: (*file).readPLT, OwnTracks: (*file).readRec,
}

// Formats are the formats that a file can be said to have, in alphabetical order.
func Formats() []string {
	var names []string
	for format := range readers {
		names = append(names, string(format))
	}
	slices.Sort(names)
	return names
}

// Options says how to read a file.
type Options struct {
	// Format is Auto when empty. Compression and archives are seen from the bytes, whatever the format.
	Format  Format
	Mapping Mapping
	// Device names the device of fixes whose row names none; empty means the track's name in a GPX
	// file, and the file's own name without folder and extensions elsewhere.
	Device string
	// Encoding is the character set of a text that does not say it itself, such as windows-1252; empty
	// means what the file declares, and UTF-8 where it declares nothing.
	Encoding string
	// DecimalComma says that numbers in tables are written with a comma as their decimal mark.
	DecimalComma bool
	// TimeZone is that of times which do not say theirs; nil refuses such times.
	TimeZone *time.Location
	// Note, when it is not nil, is told a sentence, which any terminal can show, of what is no error
	// and should not go unsaid. It is called from where the fixes are ranged over.
	Note func(sentence string)
}

// file is one reading of one file.
type file struct {
	path        string // its name as it was given
	device      string // of rows that name none
	deviceGiven bool   // by Options
	// deviceOfPath says that the path of an OwnTracks recording names the device.
	deviceOfPath bool
	member       string // the name inside an archive
	decoded      bool   // into UTF-8, whatever the text says of itself
	options      *Options
	resolver     *resolver
	yield        func(Fix, error) bool
	stopped      bool // by whoever ranges over the fixes
	yielded      bool // anything
}

// Read yields the fixes of a file in its order. An error that is a *RowError stands for one row and
// reading goes on; any other error is the last thing yielded. name is the file's name; in is not
// closed. An archive is read only from an in that is an io.ReaderAt with a Stat method, as an *os.File
// is. The sequence can be ranged over once.
func Read(in io.Reader, name string, options Options) iter.Seq2[Fix, error] {
	return func(yield func(Fix, error) bool) {
		f := &file{path: name, device: options.Device, deviceGiven: options.Device != "", options: &options, resolver: newResolver(&options)}
		f.yield = func(fix Fix, err error) bool {
			f.yielded = true
			f.stopped = f.stopped || !yield(fix, err)
			return !f.stopped
		}
		if f.device == "" {
			f.device = stem(name)
		}
		if err := f.read(in, name); err != nil && !f.stopped {
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
	rec.place.Member = f.member
	return f.yield(f.resolver.fix(rec, device))
}

// reject yields what is wrong with a row and reports whether to go on.
func (f *file) reject(place Place, detail string) bool {
	place.Member = f.member
	return f.yield(Fix{}, &RowError{Place: place, Detail: detail})
}

// note tells what is no error and should not go unsaid.
func (f *file) note(format string, values ...any) {
	if f.options.Note != nil {
		f.options.Note(fmt.Sprintf(format, values...))
	}
}

// readPlain reads by the format what is plain already.
func (f *file) readPlain(in *bufio.Reader, name string) error {
	format := f.options.Format
	if format == Auto || format == "" {
		found, err := binaryFormat(in)
		if err != nil {
			return err
		}
		format = found
	}
	if format == FIT {
		return f.readFIT(in)
	}
	in, err := f.decodeText(in)
	if err != nil {
		return err
	}
	if format == Auto || format == "" {
		if format, err = textFormat(name, in); err != nil {
			return err
		}
	}
	read := readers[format]
	if read == nil {
		return fmt.Errorf("the format %s is none of %s", quote(string(format)), strings.Join(Formats(), ", "))
	}
	return read(f, in)
}

// stem is a file's name without its folder and its extensions.
func stem(name string) string {
	base := withoutCompression(filepath.Base(name))
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// withoutCompression is a name without the extension that a compression adds.
func withoutCompression(name string) string {
	for _, extension := range []string{".gz", ".zst", ".bz2"} {
		if plain, ok := strings.CutSuffix(name, extension); ok {
			return plain
		}
	}
	return name
}
