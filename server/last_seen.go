package server

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"lastseen/query/latest"
	"lastseen/query/wire"
	"lastseen/schema"
	"lastseen/server/input"
	"lastseen/server/problem"
)

var (
	problemNoSessionID = problem.Invalid(problem.InQuery("session_id", "This parameter is required."))
	jsonNull           = []byte("null")
)

// lastSeen answers with the newest point of the session that the request names, as far as the caller may see it, at once
// or, for a request that prefers to wait, when it has changed. It is polled more than everything else together: it
// allocates nothing and takes no lock of its own.
func lastSeen(c *call) error {
	id, _ := input.LastArg(c.http.QueryArgs(), "session_id")
	if len(id) == 0 {
		return problemNoSessionID
	}
	if session, ok := schema.ParseID(id); ok {
		if err := c.own(session); err != nil {
			return err
		}
	}
	var point schema.DataPoint
	status, waited := look(c, id, &point), false
	if preferences := c.http.Request.Header.Peek(headerPrefer); len(preferences) > 0 {
		var err error
		if status, waited, err = awaitChange(c, id, status, &point); err != nil {
			return err
		}
	}
	if !waited { // who waits comes seldom, and many of them at once when what they wait for happens
		if err := c.server.slots.Enter(c.connection().Slot(), c.owner(), c.entry.began); err != nil {
			return err
		}
	}
	return replyPoint(c, status, &point)
}

// look fills in the newest point of a session as the caller sees it.
func look(c *call, id []byte, point *schema.DataPoint) latest.Status {
	if c.route.Public {
		return c.server.services.LastSeen.LookupPublic(id, point)
	}
	return c.server.services.LastSeen.Lookup(id, c.principal.OrgID, point)
}

// replyPoint answers with what a look-up found, or with 304 when the caller has that already.
func replyPoint(c *call, status latest.Status, point *schema.DataPoint) error {
	if status == latest.NotFound {
		return problem.NoSession
	}
	tag := appendTag(c.scratch[:0], status, point)
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
	if status == latest.Found {
		c.scratch = wire.AppendDataPoint(tag[:0], point) // the header has its own copy of the tag
		body = c.scratch
	}
	c.reply(fasthttp.StatusOK, body)
	return nil
}

// appendTag appends the entity tag of what a look-up found.
func appendTag(dst []byte, status latest.Status, point *schema.DataPoint) []byte {
	if status == latest.NoPoint {
		return append(dst, wire.NoPointETag...)
	}
	return wire.AppendETag(dst, point)
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
			if bytes.Equal(line[:end], tag) || sameBeforeProxy(line[:end], tag) {
				return true
			}
			line = line[end:]
		}
	}
	return false
}

var weakPrefix = []byte("W/")

// sameBeforeProxy reports whether an entity tag is ours with what some proxies add to the tag of an answer that
// they compress.
func sameBeforeProxy(sent, tag []byte) bool {
	for _, suffix := range proxySuffixes {
		if ours, found := bytes.CutSuffix(sent, suffix); found {
			return len(tag) > 1 && bytes.Equal(ours, tag[:len(tag)-1])
		}
	}
	return false
}

var proxySuffixes = [][]byte{[]byte(`-gzip"`), []byte(`;gzip"`)}
