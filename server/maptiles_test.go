package server

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mapFile writes a PMTiles file: a header, metadata, and some bytes in place of tiles.
func mapFile(tb testing.TB, metadata string, change func(header []byte)) string {
	tb.Helper()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(metadata)); err != nil || w.Close() != nil {
		tb.Fatal(err)
	}
	header := make([]byte, mapHeaderBytes)
	copy(header, mapMagic)
	binary.LittleEndian.PutUint64(header[metadataAt:], mapHeaderBytes)
	binary.LittleEndian.PutUint64(header[metadataAt+8:], uint64(zipped.Len()))
	header[compressionAt], header[tileTypeAt] = compressedByGzip, vectorTiles
	if change != nil {
		change(header)
	}
	path := filepath.Join(tb.TempDir(), "town.pmtiles")
	if err := os.WriteFile(path, append(append(header, zipped.Bytes()...), "tiles"...), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestTheStreetMapIsServedInParts(t *testing.T) {
	t.Parallel()
	path := mapFile(t, `{"attribution":"<a href=\"x\" onclick='alert(1)'>&copy; OpenStreetMap</a> & the <b>town</b>"}`, func(h []byte) { h[maxZoomAt] = 13 })
	tiles, err := OpenMapTiles(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tiles.Close() })
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(with *setup) { with.config.MapTiles = tiles })
	if r := s.get(pathMap, "", 200); string(r.body) != `{"tiles":"/console/map.pmtiles","attribution":"© OpenStreetMap \u0026 the town","max_zoom":13}` {
		t.Errorf("it is described as %s", r.body)
	}
	for text, want := range map[string]string{
		"bytes=0-6": string(whole[:7]), "bytes=127-130": string(whole[127:131]), "bytes=100-99999": string(whole[100:]),
	} {
		r := s.get(pathMapTiles, "", 206, header{"Range", text})
		if string(r.body) != want || r.Header.Get("Etag") == "" || !strings.HasPrefix(r.Header.Get("Content-Range"), "bytes ") {
			t.Errorf("%s: %q, %v", text, r.body, r.Header)
		}
	}
	for _, text := range []string{"", "bytes=5-2", "bytes=-5", "bytes=7-", "bytes=0-1,3-4", "bytes=999999-1000000", "bytes=0-99999999", "tiles=0-1"} {
		s.get(pathMapTiles, "", 416, header{"Range", text}).problem(t)
	}
	without := start(t)
	if r := without.get(pathMap, "", 200); string(r.body) != "{}" {
		t.Errorf("without a map it is described as %s", r.body)
	}
	without.get(pathMapTiles, "", 404, header{"Range", "bytes=0-6"})
}

func TestFilesThatAreNoStreetMapAreRefused(t *testing.T) {
	t.Parallel()
	for reason, path := range map[string]string{
		"no such file":         filepath.Join(t.TempDir(), "absent.pmtiles"),
		"not a PMTiles file":   mapFile(t, `{}`, func(h []byte) { h[7] = 2 }),
		"not vector tiles":     mapFile(t, `{}`, func(h []byte) { h[tileTypeAt] = 2 }),
		"metadata is too long": mapFile(t, `{}`, func(h []byte) { binary.LittleEndian.PutUint64(h[metadataAt+8:], 1<<40) }),
		"its metadata: ":       mapFile(t, `no JSON`, nil),
	} {
		if _, err := OpenMapTiles(path); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if tiles, err := OpenMapTiles(mapFile(t, `{}`, nil)); err != nil || tiles.attribution != "© OpenStreetMap" || tiles.Close() != nil {
		t.Errorf("a map that names nobody: %v", err)
	}
}

// TestTheStreetMapIsDrawn: streets of a file that go-pmtiles made stand under the sessions. The town is invented; its layers
// have the names and kinds of the Protomaps basemap.
func TestTheStreetMapIsDrawn(t *testing.T) {
	t.Parallel()
	chromium(t)
	tiles, err := OpenMapTiles("testdata/town.pmtiles")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tiles.Close() })
	s := start(t, func(with *setup) { with.config.MapTiles = tiles })
	session := s.session("org_a", "van-1")
	s.ingest("org_a", fmt.Sprintf(`{"session_id":%q,"timestamp":%q,"latitude":40.755,"longitude":-73.983}`+"\n", session, time.Now().UTC().Format(time.RFC3339)))
	p := newTab(t, base(s))
	p.signIn(s.link(owner))
	p.do(says(".leaflet-control-attribution", "© OpenStreetMap and an invented town"))
	// Land is not drawn this close: what is on the tiles are streets.
	p.do(untilTrue(`[...document.querySelectorAll("canvas.leaflet-tile")].some((tile) => {
	  if (tile.width === 0) return false;
	  const copy = new OffscreenCanvas(64, 64).getContext("2d", {willReadFrequently: true});
	  copy.drawImage(tile, 0, 0, 64, 64);
	  const { data } = copy.getImageData(0, 0, 64, 64);
	  return new Set(new Uint32Array(data.buffer)).size > 20;
	})`))
	p.staysHome()
}
