package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"lastseen/ingest/decode"
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
		if !isJSON(mediaType(request.ContentType())) || encodingName(request) != "" {
			return problemJSONType
		}
	case pointsBody:
		if _, ok := pointsFormat(request.ContentType()); !ok {
			return problemPointsType
		}
		if _, ok := pointsEncoding(request); !ok {
			return problemEncoding
		}
		if c.impatient() || !c.server.services.Writer.Accepts(c.principal.OrgID) {
			return problemBusy // before the body is read, or sent where the client asks first
		}
	}
	if int64(request.ContentLength()) > c.route.bodyLimit {
		return tooLarge(c.route)
	}
	return nil
}

// tooLarge is the 413 of a route.
func tooLarge(r *route) *problem {
	if r.body == pointsBody {
		return problemTooManyPoints
	}
	return problemTooLarge
}

var (
	problemTooLarge = &problem{status: fasthttp.StatusRequestEntityTooLarge,
		detail: "The body is too large for this route; send less."}
	problemTooManyPoints = &problem{status: fasthttp.StatusRequestEntityTooLarge,
		detail: "Send at most 100,000 points and 32 MiB, after decompression, in one body; split the batch."}
)

// mediaType returns a content type without its parameters, in lower case.
func mediaType(contentType []byte) string {
	name, _, _ := bytes.Cut(contentType, []byte{';'})
	return strings.ToLower(string(bytes.TrimSpace(name)))
}

// isJSON reports whether a media type is JSON, by itself or by its suffix.
func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")
}

// encodingName returns the content encoding in lower case, empty for none.
func encodingName(request *fasthttp.RequestHeader) string {
	name := strings.ToLower(strings.TrimSpace(string(request.Peek(fasthttp.HeaderContentEncoding))))
	if name == "identity" {
		return ""
	}
	return name
}

func pointsFormat(contentType []byte) (decode.Format, bool) {
	switch name := mediaType(contentType); {
	case name == "application/x-ndjson", name == "application/ndjson":
		return decode.NDJSON, true
	case isJSON(name):
		return decode.JSON, true
	}
	return 0, false
}

func pointsEncoding(request *fasthttp.RequestHeader) (decode.Encoding, bool) {
	switch encodingName(request) {
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
// fasthttp takes the end of a connection for the end of a body, so it counts.
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
		return n, problemBodyCut
	case err == io.EOF:
		b.ended = true
	case err != nil:
		return n, transportProblem(err)
	}
	return n, err
}

// transportProblem is the answer to a request that did not arrive whole. The connection is often
// gone by then.
func transportProblem(err error) *problem {
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		return problemHeaderTooLarge
	case errors.As(err, &network) && network.Timeout():
		return problemBodySlow
	case errors.Is(err, io.ErrUnexpectedEOF):
		return problemBodyCut
	}
	return problemMalformed
}

// droppedBody is the longest body that is read although it is refused: what a new connection would cost
// both sides more than.
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
	lingerOnClose(c.http)
}

// readJSON reads the body, a JSON object, into a struct. Unknown fields are ignored.
func (c *call) readJSON(target any) error {
	body, err := io.ReadAll(c.body())
	if err != nil {
		return err
	}
	return decodeJSON(body, target)
}

// decodeJSON reads a JSON object into a struct. What is wrong comes back as a 422.
func decodeJSON(body []byte, target any) error {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0 || body[0] != '{':
		return invalid(bodyField("", "Send a JSON object."))
	case !utf8.Valid(body):
		return invalid(bodyField("", "Send JSON in UTF-8."))
	}
	err := json.Unmarshal(body, target)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		// The path may begin with the name of an embedded struct.
		return invalid(bodyField(wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:], "Send "+jsonName(wrong.Type)+" here."))
	}
	return invalid(bodyField("", "Send well-formed JSON; this one cannot be read to its end."))
}

// jsonName is what JSON calls the values of a Go type.
func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	}
	return "a value of another kind"
}
