// Package console is the page on which an organisation manages its API keys and device credentials,
// and the page of a one-time sign-in link. They are static files without a build step, in the binary;
// the page speaks to the same routes as every other client.
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
)

// ContentSecurityPolicy is what the pages must be served with. Nothing comes from another host, no
// script or style stands in the markup, and no other page may frame them.
const ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// The addresses of the pages.
const (
	Path     = "/console/"
	LinkPath = "/auth/link" // followed by # and a sign-in token
)

//go:embed static
var static embed.FS

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
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

var files = load()

// Files returns the console's files, ordered by path.
func Files() []File { return slices.Clone(files) }

// load reads the embedded files. They are part of the program, so that a failure is a mistake in it.
func load() []File {
	entries, err := fs.ReadDir(static, "static")
	if err != nil {
		panic(fmt.Errorf("read the console's files: %w", err))
	}
	loaded := make([]File, len(entries))
	for i, entry := range entries {
		body, err := static.ReadFile("static/" + entry.Name())
		if err != nil {
			panic(fmt.Errorf("read the console's file %s: %w", entry.Name(), err))
		}
		file := NewFile(address(entry.Name()), contentTypes[path.Ext(entry.Name())], body)
		if strings.HasSuffix(entry.Name(), ".html") {
			file.CacheControl = "no-store"
		}
		loaded[i] = file
	}
	slices.SortFunc(loaded, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return loaded
}

// NewFile returns a file with its validator, which browsers are to ask about every time. It keeps body.
func NewFile(path, contentType string, body []byte) File {
	sum := sha256.Sum256(body)
	return File{
		Path: path, ContentType: contentType, CacheControl: "no-cache", Body: body,
		ETag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`,
	}
}

// address returns where a file is served.
func address(name string) string {
	switch name {
	case "index.html":
		return Path
	case "link.html":
		return LinkPath
	}
	return Path + name
}
