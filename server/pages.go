package server

import (
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/server/console"
)

// pageRoutes are the console's files. Everybody may read them: what they show they ask the other
// routes for.
func pageRoutes() (table []route) {
	for _, file := range console.Files() {
		summary := "A part of the console"
		switch file.Path {
		case console.Path:
			summary = "The console, where an organisation manages its keys"
		case console.LinkPath:
			summary = "The page of a sign-in link"
		}
		table = append(table, quiet(public(file.Path, summary, noQueue, 5*time.Second, page(file))))
	}
	return table
}

// page answers with a file.
func page(file console.File) func(*call) error {
	tag := []byte(file.ETag)
	return func(c *call) error {
		response := &c.http.Response
		response.Header.SetCanonical(headerETag, tag)
		response.Header.Set(fasthttp.HeaderCacheControl, file.CacheControl)
		response.Header.Set(fasthttp.HeaderContentSecurityPolicy, console.ContentSecurityPolicy)
		response.Header.Set(fasthttp.HeaderReferrerPolicy, "no-referrer")
		if c.server.browsers.Secure() { // without TLS browsers ignore it, and say so on their console
			response.Header.Set("Cross-Origin-Opener-Policy", "same-origin")
		}
		response.Header.Set("Cross-Origin-Resource-Policy", "same-origin")
		if holdsTag(c.http.Request.Header.PeekAll(fasthttp.HeaderIfNoneMatch), tag) {
			response.SetStatusCode(fasthttp.StatusNotModified)
			return nil
		}
		response.Header.SetContentType(file.ContentType)
		response.SetBodyRaw(file.Body)
		return nil
	}
}

// redirect sends a browser on by a GET. The address is one of ours or the identity provider's, never
// one that a request brought.
func (c *call) redirect(address string) error {
	c.http.Response.Header.Set(fasthttp.HeaderLocation, address)
	c.http.SetStatusCode(fasthttp.StatusSeeOther)
	return nil
}
