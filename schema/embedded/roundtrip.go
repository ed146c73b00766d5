package embedded

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// RoundTrip runs the statement of a request as ClickHouse's HTTP interface
// would. The result is streamed: the response's body holds an engine
// connection until it is read to its end or closed. A statement that fails is
// answered 500 with ClickHouse's text and its code; a failure once the body
// has begun arrives in the body, in ClickHouse's own framing.
func (e *Engine) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	s, err := readStatement(req)
	if err != nil {
		return failure(req, err)
	}
	if strings.TrimSpace(s.sql) == helloQuery && s.data == nil {
		return response(req, http.StatusOK, io.NopCloser(bytes.NewReader(e.hello))), nil
	}
	ctx := req.Context()
	c, err := e.acquire(ctx)
	if err != nil {
		return nil, err
	}
	body, err := e.run(ctx, c, s)
	if err != nil {
		e.release(c)
		return failure(req, err)
	}
	return response(req, http.StatusOK, body), nil
}

// run starts s on c. When it returns no error the body owns c.
func (e *Engine) run(ctx context.Context, c *conn, s *statement) (io.ReadCloser, error) {
	if err := c.prepare(s.database, s.settings); err != nil {
		return nil, err
	}
	if s.data != nil {
		if err := c.insert(ctx, s); err != nil {
			return nil, err
		}
		e.release(c)
		return http.NoBody, nil
	}
	stream, err := c.startQuery(s)
	if err != nil {
		return nil, err
	}
	// The first chunk is fetched here, so that a statement that fails before
	// it has a result is answered with a status and not in the body.
	first, err := stream.next()
	if err != nil {
		stream.close()
		return nil, err
	}
	return newBody(ctx, e, stream, first), nil
}

func response(req *http.Request, status int, body io.ReadCloser) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{},
		// clickhouse-go takes a response of length 0 for an empty one.
		ContentLength: -1,
		Body:          body,
		Request:       req,
	}
}

// failure answers with the engine's exception, or passes other errors on.
func failure(req *http.Request, err error) (*http.Response, error) {
	ex, ok := errors.AsType[*exception](err)
	if !ok {
		return nil, err
	}
	resp := response(req, http.StatusInternalServerError, io.NopCloser(strings.NewReader(ex.text)))
	if ex.code != 0 {
		resp.Header.Set("X-ClickHouse-Exception-Code", strconv.Itoa(ex.code))
	}
	return resp, nil
}
