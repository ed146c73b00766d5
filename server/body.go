package server

import (
	"bytes"
	"io"

	"github.com/valyala/fasthttp"

	"lastseen/ingest/decode"
	"lastseen/server/input"
	"lastseen/server/problem"
)

// checkBodyHeaders refuses a body that its headers show to be of the wrong kind or too long.
func (c *call) checkBodyHeaders() error {
	request := &c.http.Request.Header
	switch c.route.body {
	case noBody:
		return nil
	case jsonBody:
		if request.ContentLength() == 0 {
			return nil // the fields that are missing are the better answer
		}
		if !input.IsJSON(input.MediaType(request.ContentType())) || input.EncodingName(request) != "" {
			return problem.JSONType
		}
	case pointsBody:
		if _, ok := pointsFormat(request.ContentType()); !ok {
			return problem.PointsType
		}
		if _, ok := pointsEncoding(request); !ok {
			return problem.Encoding
		}
		fallthrough
	case appBody:
		if c.route.body == appBody && input.EncodingName(request) != "" {
			return problem.Encoding
		}
		if c.connection().Pipelined() || !c.server.services.Writer.Accepts(c.principal.OrgID) {
			return problem.Busy // before the body is read, or sent where the client asks first
		}
	}
	if int64(request.ContentLength()) > c.route.bodyLimit {
		return tooLarge(c.route)
	}
	return nil
}

// tooLarge is the 413 of a route.
func tooLarge(r *route) *problem.Problem {
	if r.takesPoints() {
		return problem.TooManyPoints
	}
	return problem.TooLarge
}

func pointsFormat(contentType []byte) (decode.Format, bool) {
	switch name := input.MediaType(contentType); {
	case name == "application/x-ndjson", name == "application/ndjson":
		return decode.NDJSON, true
	case input.IsJSON(name):
		return decode.JSON, true
	}
	return 0, false
}

func pointsEncoding(request *fasthttp.RequestHeader) (decode.Encoding, bool) {
	switch input.EncodingName(request) {
	case "":
		return decode.Identity, true
	case "gzip", "x-gzip":
		return decode.Gzip, true
	case "zstd":
		return decode.Zstd, true
	}
	return 0, false
}

// bodyReader reads a request's body as it arrives, up to the route's limit. Its errors are problems.
// fasthttp takes the end of a connection for the end of a body, so the reader counts what has come.
type bodyReader struct {
	stream   io.Reader
	read     int64
	expected int64 // -1: chunked, which has an end of its own
	limit    *route
	ended    bool // nothing of the body is left in the connection
}

// body returns the reader of the request's body. It is called at most once.
func (c *call) body() *bodyReader {
	c.reader = bodyReader{stream: c.http.RequestBodyStream(), expected: int64(c.http.Request.Header.ContentLength()), limit: c.route}
	if c.reader.stream == nil {
		c.reader.stream, c.reader.expected = bytes.NewReader(nil), 0
	}
	return &c.reader
}

// Read reads from the body.
func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.stream.Read(p)
	if b.read += int64(n); b.read > b.limit.bodyLimit {
		return 0, tooLarge(b.limit)
	}
	switch {
	case err == io.EOF && b.read < b.expected:
		return n, problem.BodyCut
	case err == io.EOF:
		b.ended = true
	case err != nil:
		return n, problem.FromReading(err)
	}
	return n, err
}

// droppedBody is the longest body that is read although it is refused: a new connection would cost both
// sides more.
const droppedBody = 1 << 20

// abandonBody makes sure that a body which nobody will read to its end does no harm. fasthttp reads
// and drops a short rest. Before a long one, or one of unknown length, the connection ends, in a way
// that lets our answer through.
func (c *call) abandonBody() {
	length := c.http.Request.Header.ContentLength()
	waiting := c.http.Request.MayContinue() // for our answer to Expect: 100-continue
	if c.reader.ended || c.http.RequestBodyStream() == nil && !waiting || length >= 0 && length <= droppedBody {
		return
	}
	c.http.SetConnectionClose()
	c.connection().Linger()
}

// readJSON reads the body, a JSON object, into a struct. Unknown fields are ignored.
func (c *call) readJSON(target any) error {
	body, err := io.ReadAll(c.body())
	if err != nil {
		return err
	}
	return input.DecodeJSON(body, target)
}
