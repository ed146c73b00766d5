package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Answer is what a server said. Its slices point into the connection's buffer and live until the
// call that received them returns.
type Answer struct {
	// Status is the HTTP status code. Protocols without one use 200 and 404.
	Status int
	// Body is the body, whole and decoded from chunks.
	Body []byte
	// ETag is the entity tag with its quotes, empty when there is none.
	ETag []byte
	// WaitApplied says that the server honours `Prefer: wait`.
	WaitApplied bool
	// RetryAfter says that the answer carries Retry-After.
	RetryAfter bool
	// closes says that the server closes the connection after this answer.
	closes bool
}

// Codec reads one protocol's answers. It is safe for concurrent use.
type Codec interface {
	// Decode reads the first answer in b into a and returns how many bytes it took, or 0 when the
	// answer is not whole yet. It may rearrange the bytes that it took.
	Decode(b []byte, a *Answer) (int, error)
}

// HTTP reads HTTP/1.1 answers to requests other than HEAD.
type HTTP struct{}

const maxHead = 64 << 10

var (
	headEnd   = []byte("\r\n\r\n")
	lineEnd   = []byte("\r\n")
	httpStart = []byte("HTTP/1.")
)

// Decode implements Codec.
func (HTTP) Decode(b []byte, a *Answer) (int, error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		if len(b) > maxHead {
			return 0, fmt.Errorf("read an answer: its head is longer than %d bytes", maxHead)
		}
		return 0, nil
	}
	if end < 12 || !bytes.HasPrefix(b, httpStart) {
		return 0, fmt.Errorf("read an answer: it begins with %q, which is not HTTP/1", b[:min(end, 20)])
	}
	*a = Answer{}
	var err error
	if a.Status, err = strconv.Atoi(string(b[9:12])); err != nil {
		return 0, fmt.Errorf("read an answer's status: %w", err)
	}
	length, chunked, err := a.readHeaders(b[:end])
	if err != nil {
		return 0, err
	}
	start := end + len(headEnd)
	switch {
	case a.Status == 304 || a.Status == 204:
		return start, nil
	case chunked:
		body, taken, err := dechunk(b[start:])
		if taken == 0 || err != nil {
			return 0, err
		}
		a.Body = body
		return start + taken, nil
	case length < 0:
		return 0, errors.New("read an answer: it has neither Content-Length nor chunks, so its end is unknown")
	case len(b) < start+length:
		return 0, nil
	}
	a.Body = b[start : start+length]
	return start + length, nil
}

// readHeaders notes the header fields that matter and returns the body's length (-1 if not said)
// and whether it comes in chunks.
func (a *Answer) readHeaders(head []byte) (length int, chunked bool, err error) {
	length = -1
	_, rest, _ := bytes.Cut(head, lineEnd)
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, lineEnd)
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return 0, false, fmt.Errorf("read an answer: the header line %q has no colon", line)
		}
		name, value := line[:colon], line[colon+1:]
		if len(value) > 0 && value[0] == ' ' {
			value = value[1:]
		}
		switch len(name) { // told apart by length first: most fields are not ours
		case len("etag"):
			if equalFold(name, "etag") {
				a.ETag = value
			}
		case len("connection"):
			a.closes = a.closes || equalFold(name, "connection") && equalFold(value, "close")
		case len("retry-after"):
			a.RetryAfter = a.RetryAfter || equalFold(name, "retry-after")
		case len("content-length"):
			if equalFold(name, "content-length") {
				if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
					return 0, false, fmt.Errorf("read an answer: Content-Length is %q", value)
				}
			}
		case len("transfer-encoding"):
			chunked = chunked || equalFold(name, "transfer-encoding") && equalFold(value, "chunked")
		case len("preference-applied"):
			a.WaitApplied = a.WaitApplied || equalFold(name, "preference-applied") && bytes.HasPrefix(value, []byte("wait"))
		}
	}
	return length, chunked, nil
}

// equalFold compares ASCII text with a lower-case word.
func equalFold(text []byte, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// dechunk joins the chunks of a body and returns how many bytes they took, 0 when the last chunk is
// not there yet. It moves the joined body into the place of the first chunk only once it is whole.
func dechunk(b []byte) (body []byte, taken int, err error) {
	taken, err = walkChunks(b, func([]byte) {})
	if taken == 0 || err != nil {
		return nil, 0, err
	}
	body = b[:0]
	_, err = walkChunks(b, func(chunk []byte) { body = append(body, chunk...) })
	return body, taken, err
}

// walkChunks calls each for every chunk and returns the length of the whole, 0 when it is not all
// there. What each is given may be moved towards the front, which the walk has left behind.
func walkChunks(b []byte, each func([]byte)) (int, error) {
	at := 0
	for {
		size, after, found := bytes.Cut(b[at:], lineEnd)
		if !found {
			return 0, nil
		}
		size, _, _ = bytes.Cut(size, []byte(";"))
		n, err := strconv.ParseUint(string(size), 16, 31)
		if err != nil {
			return 0, fmt.Errorf("read a chunk's size: %w", err)
		}
		at = len(b) - len(after)
		if n == 0 {
			return walkTrailer(b, at)
		}
		if len(after) < int(n)+len(lineEnd) {
			return 0, nil
		}
		if !bytes.HasPrefix(after[n:], lineEnd) {
			return 0, errors.New("read a chunk: it does not end where its size says")
		}
		at += int(n) + len(lineEnd)
		each(after[:n])
	}
}

// walkTrailer skips the lines after the last chunk.
func walkTrailer(b []byte, at int) (int, error) {
	for {
		line, after, found := bytes.Cut(b[at:], lineEnd)
		if !found {
			return 0, nil
		}
		at = len(b) - len(after)
		if len(line) == 0 {
			return at, nil
		}
	}
}

// RESP reads the answers of Redis to GET and MGET: a bulk string is 200, the null one 404, an array of them 200 with the
// array as it is for its body.
type RESP struct{}

// Decode implements Codec.
func (RESP) Decode(b []byte, a *Answer) (int, error) {
	if len(b) == 0 || b[0] != '*' {
		body, taken, err := bulkString(b)
		if taken == 0 || err != nil {
			return 0, err
		}
		*a = Answer{Status: 404}
		if body != nil {
			a.Status, a.Body = 200, body
		}
		return taken, nil
	}
	count, taken, err := respNumber(b)
	for range count {
		if taken == 0 || err != nil {
			return 0, err
		}
		_, n, err := bulkString(b[taken:])
		if n == 0 || err != nil {
			return 0, err
		}
		taken += n
	}
	if taken == 0 || err != nil {
		return 0, err
	}
	*a = Answer{Status: 200, Body: b[:taken]}
	return taken, nil
}

// bulkString reads one, nil for the null one, and returns how many bytes it took, 0 when it is not whole yet.
func bulkString(b []byte) (body []byte, taken int, err error) {
	if len(b) > 0 && b[0] != '$' {
		line, _, found := bytes.Cut(b, lineEnd)
		if !found {
			return nil, 0, nil
		}
		return nil, 0, fmt.Errorf("read a RESP answer: it begins with %q, which is no bulk string", line[:min(len(line), 80)])
	}
	n, head, err := respNumber(b)
	switch {
	case head == 0 || err != nil:
		return nil, 0, err
	case n < 0:
		return nil, head, nil
	case len(b) < head+n+len(lineEnd):
		return nil, 0, nil
	}
	return b[head : head+n], head + n + len(lineEnd), nil
}

// respNumber reads the first line, a letter and a number, and returns its length, 0 when it is not whole yet.
func respNumber(b []byte) (n, taken int, err error) {
	end := bytes.IndexByte(b[:min(len(b), 32)], '\r')
	if end < 1 || end+1 >= len(b) {
		return 0, 0, nil
	}
	if n, err = strconv.Atoi(string(b[1:end])); err != nil {
		return 0, 0, fmt.Errorf("read a RESP answer's length: %w", err)
	}
	return n, end + len(lineEnd), nil
}
