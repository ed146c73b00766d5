package console_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"regexp"
	"strings"
	"testing"

	"lastseen/server/console"
)

func TestEveryFileHasATypeAndAValidator(t *testing.T) {
	t.Parallel()
	tags := map[string]string{}
	for _, file := range console.Files() {
		if file.ContentType == "" {
			t.Errorf("%s has no content type", file.Path)
		}
		if len(file.ETag) < 16 || file.ETag[0] != '"' || file.ETag[len(file.ETag)-1] != '"' {
			t.Errorf("%s has the ETag %s, want a quoted digest", file.Path, file.ETag)
		}
		if other, taken := tags[file.ETag]; taken {
			t.Errorf("%s and %s have the same ETag", file.Path, other)
		}
		tags[file.ETag] = file.Path
		isPage := strings.HasPrefix(file.ContentType, "text/html")
		if want := map[bool]string{true: "no-store", false: "no-cache"}[isPage]; file.CacheControl != want {
			t.Errorf("%s is served with Cache-Control %s, want %s", file.Path, file.CacheControl, want)
		}
	}
	for _, page := range []string{console.Path, console.LinkPath, console.TrackPath} {
		if find(page) == nil {
			t.Errorf("there is no page at %s", page)
		}
	}
}

// reference finds what a page, a script or a style sheet loads.
var reference = regexp.MustCompile(`(?:href|src|import\(|url\(|"|'|\x60)"?((?:/console/|/track/|/auth/link)[^"'\x60#?$]*)["'\x60#?]`)

func TestEveryReferenceLeadsToAFileOfOurs(t *testing.T) {
	t.Parallel()
	// These are named by the page of the API, and the map is a route.
	used := map[string]bool{console.Path: true, console.LinkPath: true, console.TrackPath: true, "/console/base.css": true, "/console/docs.js": true}
	routes := map[string]bool{"/console/map.json": true, "/auth/link/v1": true}
	for _, file := range console.Files() {
		for _, match := range reference.FindAllStringSubmatch(string(file.Body), -1) {
			target := match[1]
			used[target] = true
			if find(target) == nil && !routes[target] {
				t.Errorf("%s refers to %s, which is not there", file.Path, target)
			}
		}
	}
	for _, file := range console.Files() {
		if !used[file.Path] {
			t.Errorf("nothing refers to %s", file.Path)
		}
	}
}

func TestMarkupHoldsNoScriptAndNoStyle(t *testing.T) {
	t.Parallel()
	forbidden := map[string]*regexp.Regexp{
		"an inline script":      regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]`),
		"a style element":       regexp.MustCompile(`(?i)<style`),
		"a style attribute":     regexp.MustCompile(`(?i)<[^>]+\sstyle\s*=`),
		"an inline handler":     regexp.MustCompile(`(?i)<[^>]+\son[a-z]+\s*=`),
		"an address elsewhere":  regexp.MustCompile(`(?i)(?:href|src|action)\s*=\s*"(?:[a-z]+:)?//`),
		"a JavaScript: address": regexp.MustCompile(`(?i)javascript:`),
	}
	for _, file := range console.Files() {
		if !strings.HasPrefix(file.ContentType, "text/html") {
			continue
		}
		for what, pattern := range forbidden {
			if found := pattern.Find(file.Body); found != nil {
				t.Errorf("%s holds %s, which the Content-Security-Policy forbids: %s", file.Path, what, found)
			}
		}
	}
}

func TestScriptsNeverParseTextAsMarkup(t *testing.T) {
	t.Parallel()
	dangerous := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTMLUnsafe|createContextualFragment|localStorage|sessionStorage|indexedDB`)
	for _, file := range console.Files() {
		if !strings.HasSuffix(file.Path, ".js") || strings.HasPrefix(file.Path, "/console/vendor/") {
			continue
		}
		if found := dangerous.Find(file.Body); found != nil {
			t.Errorf("%s uses %s: names must be shown as text, and nothing may be kept in the browser", file.Path, found)
		}
	}
}

func TestFilesCannotBeChangedByTheirReaders(t *testing.T) {
	t.Parallel()
	first := console.Files()
	first[0].Path = "changed"
	if console.Files()[0].Path == "changed" {
		t.Error("a change to the returned list changed the console's")
	}
}

func find(path string) *console.File {
	for _, file := range console.Files() {
		if file.Path == path {
			return &file
		}
	}
	return nil
}

// TestScriptsAreWhole: what a page loads is one file, in which nothing is left that joining the modules
// should have taken out.
func TestScriptsAreWhole(t *testing.T) {
	t.Parallel()
	left := regexp.MustCompile(`(?m)^\s*(import\s|export\s)`)
	for _, path := range []string{"/console/main.js", "/console/link.js", "/console/track.js", "/console/docs.js"} {
		file := find(path)
		if file == nil {
			t.Fatalf("%s is not there", path)
		}
		if found := left.Find(file.Body); found != nil {
			t.Errorf("%s holds %q, a form that joining modules does not know", path, found)
		}
	}
	if find("/console/dom.js") != nil || find("/console/sessions/map.js") != nil {
		t.Error("a module is also served by itself")
	}
}

func TestFilesAreCompressedWhereThatHelps(t *testing.T) {
	t.Parallel()
	for _, file := range console.Files() {
		coded := file.Gzipped()
		if coded == nil {
			continue
		}
		if len(coded) >= len(file.Body) || file.GzipETag() == file.ETag {
			t.Errorf("%s has %d bytes, and %d in gzip as %s", file.Path, len(file.Body), len(coded), file.GzipETag())
		}
		r, err := gzip.NewReader(bytes.NewReader(coded))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, file.Body) {
			t.Errorf("%s in gzip is another file (%v)", file.Path, err)
		}
	}
	if first := len(find("/console/main.js").Gzipped()) + len(find("/console/app.css").Gzipped()); first > 56<<10 {
		t.Errorf("what the page needs to show something has %d bytes", first)
	}
}
