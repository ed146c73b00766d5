package server

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"lastseen/query"
	"lastseen/schema"
)

var (
	problemSessionIDMissing = invalid(fieldError{loc: []string{"query", "session_id"}, msg: "This parameter is required."})
	problemNoSession        = &problem{status: fasthttp.StatusNotFound,
		detail: "There is no such session, or your organisation cannot see it; check the session_id."}
	jsonNull = []byte("null")
)

// lastSeen answers with the newest point of a session that the caller's organisation may see. It is
// polled more than everything else together: it allocates nothing and takes no lock of its own.
func lastSeen(c *call) error {
	id, _ := lastArg(c.http.QueryArgs(), "session_id")
	if len(id) == 0 {
		return problemSessionIDMissing
	}
	var point schema.DataPoint
	return c.replyPoint(c.server.services.LastSeen.Lookup(id, c.principal.OrgID, &point), &point)
}

// lastSeenPublic answers with the newest point of a public session.
func lastSeenPublic(c *call) error {
	id, _ := lastArg(c.http.QueryArgs(), "session_id")
	if len(id) == 0 {
		return problemSessionIDMissing
	}
	var point schema.DataPoint
	return c.replyPoint(c.server.services.LastSeen.LookupPublic(id, &point), &point)
}

// replyPoint answers with what a look-up found, or with 304 when the caller has that already.
func (c *call) replyPoint(status query.Status, point *schema.DataPoint) error {
	tag := c.scratch[:0]
	switch status {
	case query.NotFound:
		return problemNoSession
	case query.NoPoint:
		tag = append(tag, query.NoPointETag...)
	default:
		tag = query.AppendETag(tag, point)
	}
	response := &c.http.Response
	response.Header.SetCanonical(headerCacheControl, revalidate)
	response.Header.SetCanonical(headerVary, varyAuthorization)
	response.Header.SetCanonical(headerETag, tag)
	if holdsTag(c.http.Request.Header.PeekAll(fasthttp.HeaderIfNoneMatch), tag) {
		response.SetStatusCode(fasthttp.StatusNotModified)
		c.scratch = tag
		return nil
	}
	body := jsonNull
	if status == query.Found {
		c.scratch = query.AppendDataPoint(tag[:0], point) // the header has its own copy of the tag
		body = c.scratch
	}
	c.reply(fasthttp.StatusOK, body)
	return nil
}

var (
	headerCacheControl = []byte(fasthttp.HeaderCacheControl)
	headerVary         = []byte(fasthttp.HeaderVary)
	headerETag         = []byte("Etag") // the form in which fasthttp compares names
	revalidate         = []byte("private, no-cache")
	varyAuthorization  = []byte(fasthttp.HeaderAuthorization)
)

// holdsTag reports whether the values of If-None-Match name an entity tag, by weak comparison
// (RFC 9110, section 13.1.2), or any at all by an asterisk.
func holdsTag(lines [][]byte, tag []byte) bool {
	for _, line := range lines {
		for len(line) > 0 {
			line = bytes.TrimLeft(line, " \t,")
			if len(line) > 0 && line[0] == '*' {
				return true
			}
			line = bytes.TrimPrefix(line, weakPrefix)
			if len(line) == 0 || line[0] != '"' {
				break // not a list of tags from here on
			}
			end := bytes.IndexByte(line[1:], '"') + 2
			if end < 2 {
				break
			}
			if bytes.Equal(line[:end], tag) {
				return true
			}
			line = line[end:]
		}
	}
	return false
}

var weakPrefix = []byte("W/")
