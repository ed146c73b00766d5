package server

import (
	"github.com/valyala/fasthttp"

	"lastseen/server/problem"
	"lastseen/server/stream"
)

// stream answers with what a source makes, as it makes it, in a content coding. The call ends with the answer.
func (c *call) stream(from stream.Source, as stream.Coding) error {
	s := c.server
	answer, err := stream.Begin(from, as, stream.Call{
		Context: c.context(), Connection: c.connection(), Patience: s.config.WriteTimeout, LeastRate: c.leastRate, Streams: s.streams, Begun: &s.ids.count,
		Suspended: c.pause, Resuming: c.resume, Allowed: c.stillAllowed, Panicked: c.logPanic, Ended: c.streamed,
	})
	if err != nil {
		return err
	}
	body, whole := answer.Whole()
	switch {
	case whole:
		if err := answer.Free(); err != nil {
			return err
		}
		c.reply(fasthttp.StatusOK, body)
	case !c.http.Request.Header.IsHTTP11():
		if err := answer.Free(); err != nil {
			return err
		}
		return problem.HTTP10
	default:
		c.streams = true
		c.http.SetStatusCode(fasthttp.StatusOK)
		c.http.Response.SetBodyStream(answer, -1)
	}
	header := &c.http.Response.Header
	header.SetContentType(answer.ContentType())
	if coding := answer.ContentEncoding(); coding != "" {
		header.SetContentEncoding(coding)
	}
	return nil
}

// streamed ends a call whose answer was sent, or was cut.
func (c *call) streamed(sent int64, failed error) {
	c.entry.bytes = sent
	if failed != nil {
		c.entry.cut(failed)
	}
	c.end()
}
