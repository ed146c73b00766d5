// Package console is the pages for people: the sessions on a map, the management of an organisation's
// API keys and device credentials, the page of a one-time sign-in link, and the page behind the link
// of a public session. They are static files without a build step, in the binary; the pages speak to
// the same routes as every other client.
package console

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

// ContentSecurityPolicy is what the pages must be served with. Nothing comes from another host, no
// script or style stands in the markup, and no other page may frame them.
const ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// The addresses of the pages.
const (
	Path      = "/console/"
	LinkPath  = "/auth/link" // followed by # and a sign-in token
	TrackPath = "/track/"    // followed by # and the id of a public session
)

//go:embed static
var static embed.FS

// The files that pages load are bundles, each made of several: every request costs a page that is far away the time of a way there
// and back. entries are the modules that begin one, and styles what the style sheet app.css is made of.
var (
	entries = []string{"main.js", "link.js", "track.js", "docs.js"}
	styles  = []string{"vendor/leaflet.css", "vendor/uplot.css", "base.css", "console.css", "sessions.css", "detail.css"}
)

// load reads the embedded files. They are part of the program, so that a failure is a mistake in it.
func load() []File {
	var loaded []File
	bundled := map[string]bool{}
	read := func(name string) string {
		body, err := static.ReadFile("static/" + name)
		if err != nil {
			panic(fmt.Errorf("read the console's file %s: %w", name, err))
		}
		bundled[name] = true
		return string(body)
	}
	modules := newModules(read)
	for _, entry := range entries {
		loaded = append(loaded, newNamed(entry, []byte(modules.join(entry))))
	}
	var sheet strings.Builder
	for _, name := range styles {
		sheet.WriteString(read(name))
	}
	loaded = append(loaded, newNamed("app.css", []byte(sheet.String())))
	delete(bundled, "base.css") // which the page of the API uses, too
	err := fs.WalkDir(static, "static", func(full string, entry fs.DirEntry, err error) error {
		name := strings.TrimPrefix(full, "static/")
		if err != nil || entry.IsDir() || bundled[name] {
			return err
		}
		body, err := static.ReadFile(full)
		loaded = append(loaded, newNamed(name, body))
		return err
	})
	if err != nil {
		panic(fmt.Errorf("read the console's files: %w", err))
	}
	slices.SortFunc(loaded, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return loaded
}

// newNamed returns a file of the folder static by its name there.
func newNamed(name string, body []byte) File {
	file := NewFile(address(name), contentTypes[path.Ext(name)], body)
	if strings.HasSuffix(name, ".html") {
		file.CacheControl = "no-store"
	}
	return file
}

// address returns where a file is served.
func address(name string) string {
	switch name {
	case "index.html":
		return Path
	case "link.html":
		return LinkPath
	case "track.html":
		return TrackPath
	}
	return Path + name
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// files are made when they are first asked for: it takes some hundredths of a second, which commands that serve no pages need not wait.
var files = sync.OnceValue(load)

// Files returns the console's files, ordered by path. The first call makes them.
func Files() []File { return slices.Clone(files()) }

// Licenses returns the notices of what the pages are made of.
func Licenses() []byte {
	text, err := static.ReadFile("static/vendor/licences.txt")
	if err != nil {
		panic(fmt.Errorf("read the console's notices: %w", err))
	}
	return text
}

// NewFile returns a file with its validator, which browsers are to ask about every time. It keeps body.
func NewFile(path, contentType string, body []byte) File {
	sum := sha256.Sum256(body)
	return File{
		Path: path, ContentType: contentType, CacheControl: "no-cache", Body: body,
		ETag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, gzipped: compressOnce(body),
	}
}
