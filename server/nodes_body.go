package server

import (
	"bytes"
	"io"

	"github.com/valyala/fasthttp"
)

// handBody gives a request that is handed to another node the body of the one that came. What a node takes into memory of one that arrives
// is read before, so that a client that is slow to send it does not keep a connection between nodes from others; the rest follows as it arrives. Points
// take that memory from their organisation's share, and have the time that they have where they are taken. The caller calls free when the request has
// been sent.
func handBody(c *call, request *fasthttp.Request) (free func(), err error) {
	free = func() {}
	if c.route.body == noBody { // one that came all the same means nothing, here as there
		request.Header.Del(fasthttp.HeaderTransferEncoding)
		request.Header.SetContentLength(0)
		return free, nil
	}
	if c.http.RequestBodyStream() == nil {
		return free, nil
	}
	length := c.http.Request.Header.ContentLength() // negative where nobody knows yet
	memory, begin := int64(bodyMemory), new(bytes.Buffer)
	if length >= 0 {
		memory = min(memory, int64(length))
		begin.Grow(int(memory) + bytes.MinRead)
	}
	if c.route.takesPoints() {
		budget, err := setAside(c, memory)
		if err != nil {
			return free, err
		}
		free = func() { budget.Release(memory) }
	}
	body := c.body()
	if _, err := io.CopyN(begin, body, memory); err != nil && err != io.EOF {
		free()
		return func() {}, err
	}
	if body.ended || int64(length) == memory {
		request.SetBodyRaw(begin.Bytes())
	} else {
		request.SetBodyStream(io.MultiReader(begin, body), length)
	}
	return free, nil
}
