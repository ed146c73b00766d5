package embedded

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// RoundTrip runs the statement of a request as ClickHouse's HTTP interface
// would, and streams the result: the response's body holds a connection until
// it is read to its end or closed, or the request's context ends, or the
// engine is closed.
//
// A statement that fails is answered 500 with ClickHouse's text and its code;
// after the first part of the result the body ends with a
// *clickhouse.Exception. When the request's context ends, its error is
// returned, by RoundTrip or by the body.
//
// Compression, and external tables of what does not begin with SELECT, are
// refused with NOT_IMPLEMENTED. Users and passwords, query_id, quota_key,
// session_id and wait_end_of_query have no meaning here and are ignored.
func (e *Engine) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	s, err := readStatement(req)
	if err != nil {
		return failure(req, err)
	}
	if s.data == nil && strings.TrimSpace(s.sql) == helloQuery {
		return response(req, http.StatusOK, io.NopCloser(bytes.NewReader(e.hello))), nil
	}
	l, err := e.lease(req.Context())
	if err != nil {
		return nil, err
	}
	resp, err := l.run(req, s)
	if err != nil {
		l.releaseFailed()
		return failure(req, err)
	}
	return resp, nil
}

// run starts s. If it returns no error, the lease is released by itself or
// will be by the response's body.
func (l *lease) run(req *http.Request, s *statement) (*http.Response, error) {
	if err := l.prepare(s.database, s.settings); err != nil {
		return nil, err
	}
	if s.data != nil {
		if err := l.insert(s); err != nil {
			return nil, err
		}
		l.release()
		return response(req, http.StatusOK, http.NoBody), nil
	}
	source, err := l.query(s)
	if err != nil {
		return nil, err
	}
	// The first chunk is fetched here, so that a statement that fails before
	// it has a result is answered with a status and not in the body.
	chunk, err := source.next()
	if err != nil && !errors.Is(err, io.EOF) {
		source.close()
		return nil, err
	}
	return response(req, http.StatusOK, newBody(l, source, chunk)), nil
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
