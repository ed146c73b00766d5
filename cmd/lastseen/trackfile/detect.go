package trackfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// refusal is a format that is recognised and not read.
type refusal struct {
	offset int
	magic  string
	what   string // with its article
	advice string
}

// refusals are binary formats by the bytes that they have at an offset.
var refusals = []refusal{
	{0, "PAR1", "a Parquet file", "write it as CSV or NDJSON"},
	{0, "ARROW1", "an Arrow file", "write it as CSV or NDJSON"},
	{0, "\xff\xff\xff\xff", "an Arrow stream", "write it as CSV or NDJSON"},
	{0, "%PDF", "a PDF document", "look for an export as CSV or GPX"},
	{0, "SQLite format 3\x00", "an SQLite database", "write its table as CSV"},
	{0, "\xd0\xcf\x11\xe0", "an old Office document (perhaps .xls)", "save its table as CSV"},
	{0, "\x89PNG", "a PNG picture", "positions inside pictures are not looked for"},
	{0, "\xff\xd8\xff", "a JPEG picture", "positions inside pictures are not looked for"},
	{0, "GIF8", "a GIF picture", "positions inside pictures are not looked for"},
	{4, "ftyp", "a video or a picture (MP4, MOV or HEIC)", "positions inside pictures are not looked for"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"},
	{0, "Rar!", "a RAR archive", "unpack it first"},
	{0, "\xfd7zXZ\x00", "compressed with xz", "unpack it first with xz -d"},
	{0, "\x04\x22\x4d\x18", "compressed with lz4", "unpack it first with lz4 -d"},
	{257, "ustar", "a tar archive", "unpack it first"},
	{0, "\x00\x00\x27\x0a", "a shapefile", "convert it to GeoJSON"},
	{0, "MsRcf", "a Garmin GDB file", "convert it to GPX"},
	{0, "\x7fELF", "a program", "give a file with positions"},
	{0, "\x89HDF", "an HDF5 file", "write its table as CSV"},
	{0, "CDF\x01", "a NetCDF file", "write its table as CSV"},
}

func (r *refusal) error() error {
	return fmt.Errorf("the file is %s, which is not read: %s", r.what, r.advice)
}

// binaryFormat recognises FIT, refuses by its name what is recognised and not read, and returns Auto for
// what may be text.
func binaryFormat(in *bufio.Reader) (Format, error) {
	start, _ := in.Peek(512)
	if len(start) >= 12 && string(start[8:12]) == ".FIT" {
		return FIT, nil
	}
	for i := range refusals {
		r := &refusals[i]
		if len(start) >= r.offset && bytes.HasPrefix(start[r.offset:], []byte(r.magic)) {
			return "", r.error()
		}
	}
	return Auto, nil
}

var (
	rootElement   = regexp.MustCompile(`<([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)[\s/>]`)
	xmlPrologue   = regexp.MustCompile(`(?s)<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>`)
	recLine       = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?\t[^\t]*\t\s*\{`)
	nmeaSentence  = regexp.MustCompile(`(?m)^[^\n]{0,80}\$[A-Z]{2}(RMC|GGA|GLL|GSA|GSV|VTG|ZDA|GNS|TXT|GST),`)
	aisSentence   = regexp.MustCompile(`(?m)^[^\n]{0,80}![A-Z]{2}VD[MO],`)
	igcIdentifier = regexp.MustCompile(`^A[A-Z0-9]{3}[^\n,;]*\r?\n(H[FOP]|I\d|L)`)
)

// textFormat tells a text's format by how it begins or, where that says nothing, from its name.
func textFormat(name string, in *bufio.Reader) (Format, error) {
	start, _ := in.Peek(detectAhead)
	start = bytes.TrimSpace(start)
	extension := strings.ToLower(filepath.Ext(withoutCompression(name)))
	switch {
	case bytes.HasPrefix(start, []byte("<")):
		return xmlFormat(start)
	case bytes.HasPrefix(start, []byte("{")):
		return objectFormat(start, extension), nil
	case bytes.HasPrefix(start, []byte("[")) && extension != ".csv":
		return JSON, nil
	case recLine.Match(start):
		return OwnTracks, nil
	case nmeaSentence.Match(start):
		return NMEA, nil
	case aisSentence.Match(start):
		return "", (&refusal{what: "made of AIS sentences (!AIVDM)", advice: "decode them to CSV first"}).error()
	case igcIdentifier.Match(start):
		return "", (&refusal{what: "an IGC flight recording", advice: "convert it to GPX"}).error()
	case bytes.HasPrefix(start, []byte("OziExplorer Track")), bytes.HasPrefix(start, []byte("Geolife trajectory")), extension == ".plt":
		return PLT, nil
	case bytes.IndexByte(start, 0) >= 0:
		return "", (&refusal{what: "binary, in a format that is not known", advice: "look for an export as CSV or GPX"}).error()
	}
	return formatByName(extension), nil
}

// detectAhead is how much of a text may say what it is.
const detectAhead = 4096

// formatByName is what an extension says of a text that says nothing itself.
func formatByName(extension string) Format {
	switch extension {
	case ".ndjson", ".jsonl":
		return NDJSON
	case ".json", ".geojson":
		return JSON
	case ".gpx":
		return GPX
	case ".kml":
		return KML
	case ".tcx":
		return TCX
	case ".nmea", ".nma":
		return NMEA
	case ".rec":
		return OwnTracks
	}
	return CSV
}

// objectFormat tells objects on a line each from one document: NDJSON's first line is a whole object,
// and no list in it holds the positions.
func objectFormat(start []byte, extension string) Format {
	if extension == ".geojson" {
		return JSON
	}
	line, rest, more := bytes.Cut(start, []byte("\n"))
	var object map[string]json.RawMessage
	if json.Unmarshal(line, &object) != nil {
		if !more && extension != ".json" && len(rest) == 0 && (extension == ".ndjson" || extension == ".jsonl") {
			return NDJSON // a line longer than what was looked at
		}
		return JSON
	}
	for name := range object {
		if isList(name) && bytes.HasPrefix(object[name], []byte("[")) {
			return JSON
		}
	}
	if kind := string(object["type"]); kind == `"FeatureCollection"` || kind == `"Feature"` || unreadDocument(object) != nil {
		return JSON
	}
	return NDJSON
}

// xmlFormat goes by the root element.
func xmlFormat(start []byte) (Format, error) {
	root := rootElement.FindSubmatch(xmlPrologue.ReplaceAll(start, nil))
	if root == nil {
		return GPX, nil // whose reader says on which line it is no XML
	}
	switch name := strings.ToLower(string(root[2])); name {
	case "gpx":
		return GPX, nil
	case "kml":
		return KML, nil
	case "trainingcenterdatabase":
		return TCX, nil
	case "html":
		return "", (&refusal{what: "an HTML page", advice: "download the file itself"}).error()
	default:
		return "", (&refusal{what: "an XML file of the kind " + printable(string(root[2])), advice: "GPX, KML and TCX are"}).error()
	}
}
