package server

import (
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/server/caller"
	"lastseen/server/console"
	"lastseen/server/input"
	"lastseen/server/openapi"
	"lastseen/server/stream"
)

// pageRoutes are the files of the pages for people. Everybody may read them: what they show they ask
// the other routes for.
func pageRoutes() (table []route) {
	for _, file := range console.Files() {
		summary := "A part of the console"
		switch file.Path {
		case console.Path:
			summary = "The console, where an organisation sees its sessions and manages its keys"
		case console.LinkPath:
			summary = "The page of a sign-in link"
		case console.TrackPath:
			summary = "The page of a public session"
		}
		table = append(table, quiet(public(file.Path, summary, noQueue, 5*time.Second, page(file))))
	}
	return table
}

// misspelled are the addresses of pages as people type them, with a slash too many or too few.
var misspelled = map[string]string{
	"/console": console.Path, "/track": console.TrackPath, openapi.PagePath + "/": openapi.PagePath,
}

// leadTo is the route that a misspelled address gets, for which none is in the table: it leads to the right one.
func leadTo(meant string) *route {
	return &route{Access: caller.Access{Public: true}, timeout: refusalTimeout, handle: func(c *call) error { return c.redirect(meant) }}
}

// page answers with a file, in gzip where the browser takes that.
func page(file console.File) func(*call) error {
	return func(c *call) error {
		response, header := &c.http.Response, &c.http.Request.Header
		body, tag, coded := file.Body, file.ETag, false
		if takesGzip(input.Preferences(header.PeekAll(fasthttp.HeaderAcceptEncoding))) && len(file.Gzipped()) > 0 {
			body, tag = file.Gzipped(), file.GzipETag()
			coded = true
		}
		response.Header.SetCanonical(headerETag, []byte(tag))
		response.Header.Set(fasthttp.HeaderCacheControl, file.CacheControl)
		response.Header.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
		response.Header.Set(fasthttp.HeaderContentSecurityPolicy, console.ContentSecurityPolicy)
		response.Header.Set(fasthttp.HeaderReferrerPolicy, "no-referrer")
		if c.server.browsers.Secure() { // without TLS browsers ignore it, and say so on their console
			response.Header.Set("Cross-Origin-Opener-Policy", "same-origin")
		}
		response.Header.Set("Cross-Origin-Resource-Policy", "same-origin")
		if holdsTag(header.PeekAll(fasthttp.HeaderIfNoneMatch), []byte(tag)) {
			response.SetStatusCode(fasthttp.StatusNotModified)
			return nil
		}
		if coded {
			response.Header.Set(fasthttp.HeaderContentEncoding, stream.Gzip.String())
		}
		response.Header.SetContentType(file.ContentType)
		response.SetBodyRaw(body)
		return nil
	}
}

// takesGzip reports whether a browser takes answers in gzip.
func takesGzip(accepted []input.Preference) bool {
	return slices.ContainsFunc(accepted, func(p input.Preference) bool { return p.Value == "gzip" && p.Weight > 0 })
}
