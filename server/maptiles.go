package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/valyala/fasthttp"

	"lastseen/server/console"
	"lastseen/server/problem"
)

const (
	pathMap      = console.Path + "map.json"
	pathMapTiles = console.Path + "map.pmtiles"

	// mostMapPart is the longest part of the file that one request gets, in bytes. Browsers ask for
	// directories and tiles, which are far shorter.
	mostMapPart = 16 << 20
)

// MapTiles is an operator's own street map: one PMTiles file, of which browsers ask for parts.
type MapTiles struct {
	file        *os.File
	size        int64
	tag         string
	attribution string
	maxZoom     uint8 // of its tiles; closer in these are drawn larger
}

// OpenMapTiles opens a PMTiles file of version 3 with vector tiles.
func OpenMapTiles(path string) (*MapTiles, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the street map: %w", err)
	}
	m := &MapTiles{file: file}
	if err := m.readHeader(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the street map %s: %w", path, err), file.Close())
	}
	return m, nil
}

// Close closes the file. No request may be in flight.
func (m *MapTiles) Close() error { return m.file.Close() }

// The parts of a PMTiles header that are looked at: https://github.com/protomaps/PMTiles, version 3.
const (
	mapHeaderBytes   = 127
	mapMagic         = "PMTiles\x03"
	metadataAt       = 24 // offset, then length
	compressionAt    = 97 // of the directories and the metadata
	tileTypeAt       = 99
	maxZoomAt        = 101
	compressedByGzip = 2
	vectorTiles      = 1
	mostMetadata     = 4 << 20
)

func (m *MapTiles) readHeader() error {
	header := make([]byte, mapHeaderBytes)
	if _, err := m.file.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.HasPrefix(header, []byte(mapMagic)) {
		return errors.New("it is not a PMTiles file of version 3")
	}
	if header[tileTypeAt] != vectorTiles {
		return errors.New("its tiles are not vector tiles")
	}
	m.maxZoom = header[maxZoomAt]
	info, err := m.file.Stat()
	if err != nil {
		return err
	}
	m.size = info.Size()
	sum := sha256.Sum256(append(header, info.ModTime().UTC().Format(time.RFC3339Nano)...))
	m.tag = `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	offset, length := binary.LittleEndian.Uint64(header[metadataAt:]), binary.LittleEndian.Uint64(header[metadataAt+8:])
	if length > mostMetadata {
		return errors.New("its metadata is too long")
	}
	m.attribution, err = attribution(io.NewSectionReader(m.file, int64(offset), int64(length)), header[compressionAt])
	return err
}

var markup = regexp.MustCompile(`<[^>]*>`)

// attribution takes out of the metadata whom the map's users are to name, as text.
func attribution(metadata io.Reader, compression byte) (string, error) {
	if compression == compressedByGzip {
		unzipped, err := gzip.NewReader(metadata)
		if err != nil {
			return "", fmt.Errorf("its metadata: %w", err)
		}
		metadata = io.LimitReader(unzipped, mostMetadata)
	}
	var said struct {
		Attribution string `json:"attribution"`
	}
	if err := json.NewDecoder(metadata).Decode(&said); err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("its metadata: %w", err)
	}
	text := strings.NewReplacer("&copy;", "©", "&amp;", "&", "<", "", ">", "").Replace(markup.ReplaceAllString(said.Attribution, ""))
	if text = strings.TrimSpace(text); text == "" {
		text = "© OpenStreetMap"
	}
	return text, nil
}

// mapRoutes are what the pages with a map ask for besides their files.
func mapRoutes() []route {
	return []route{
		quiet(public(pathMap, "Whether there is a street map", noQueue, refusalTimeout, describeMap)),
		quiet(public(pathMapTiles, "Parts of the street map", noQueue, refusalTimeout, mapPart)),
	}
}

func describeMap(c *call) error {
	tiles := c.server.config.MapTiles
	answer := struct {
		Tiles       string `json:"tiles,omitempty"`
		Attribution string `json:"attribution,omitempty"`
		MaxZoom     uint8  `json:"max_zoom,omitempty"`
	}{}
	if tiles != nil {
		answer.Tiles, answer.Attribution, answer.MaxZoom = pathMapTiles, tiles.attribution, tiles.maxZoom
	}
	return c.json(fasthttp.StatusOK, answer)
}

var problemMapPart = &problem.Problem{Status: fasthttp.StatusRequestedRangeNotSatisfiable,
	Detail: "Ask for a part of the street map of at most 16 MiB, by one range in the header Range."}

// mapPart answers with the part of the file that the header Range names.
func mapPart(c *call) error {
	tiles := c.server.config.MapTiles
	if tiles == nil {
		return problem.NoRoute
	}
	first, last, ok := parseRange(string(c.http.Request.Header.Peek(fasthttp.HeaderRange)), tiles.size)
	if !ok {
		return problemMapPart
	}
	part := make([]byte, last-first+1)
	if _, err := tiles.file.ReadAt(part, first); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the street map: %w", err)
	}
	header := &c.http.Response.Header
	header.SetCanonical(headerETag, []byte(tiles.tag))
	header.Set(fasthttp.HeaderCacheControl, "no-cache")
	header.Set(fasthttp.HeaderContentRange, fmt.Sprintf("bytes %d-%d/%d", first, last, tiles.size))
	header.SetContentType("application/vnd.pmtiles")
	c.http.SetStatusCode(fasthttp.StatusPartialContent)
	c.http.Response.SetBodyRaw(part)
	return nil
}

// parseRange reads a header with one range that begins in a file of size bytes.
func parseRange(text string, size int64) (first, last int64, ok bool) {
	from, to, found := strings.Cut(strings.TrimPrefix(text, "bytes="), "-")
	if !found || !strings.HasPrefix(text, "bytes=") {
		return 0, 0, false
	}
	first, err := strconv.ParseInt(from, 10, 64)
	if err != nil || first < 0 || first >= size {
		return 0, 0, false
	}
	last, err = strconv.ParseInt(to, 10, 64)
	if err != nil || last < first || last-first >= mostMapPart {
		return 0, 0, false
	}
	return first, min(last, size-1), true
}
