package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/go-faster/jx"
	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/schema"
)

// call is one request on its way through the server. It is pooled: it lives until end, which serve
// calls when the handler returns, or the streamed answer when it is closed.
type call struct {
	server    *Server
	http      *fasthttp.RequestCtx
	route     *route
	id        requestID
	principal *keys.Principal // nil without a credential
	entry     logEntry
	scratch   []byte    // for the answer; its capacity is kept
	writer    jx.Writer // for a refusal; its capacity is kept

	work      context.Context // nil until somebody asks
	cancel    context.CancelFunc
	entered   *admission      // to leave at the end
	streaming *string         // the owner of the stream's place, likewise
	departure *departureWatch // nil unless the route streams
	reader    bodyReader
	waited    time.Duration // for a change, which is no time that the answer took
	retry     time.Duration // until a limit on a rate lets the caller go on
	deciding  bool          // about a request with Expect: 100-continue
	streams   bool          // end comes with the answer's last byte
	interim   bool          // another call for the same request follows, which is the one to log
}

// maxScratch bounds the memory that a pooled call keeps.
const maxScratch = 64 << 10

// serve answers a request by its route.
func (s *Server) serve(r *route, ctx *fasthttp.RequestCtx) {
	c := s.begin(r, ctx, ctx.Time())
	defer c.finish()
	err := c.admit()
	if err == nil {
		err = c.enter()
	}
	if err == nil {
		err = r.handle(c)
	}
	if err != nil {
		c.fail(err)
	}
}

// expect decides about a request with Expect: 100-continue from its headers alone, so that a body
// that would be refused is never sent. serve runs afterwards when it says yes.
//
// fasthttp sends the response as it finds it with the status that is returned here, although it asks
// in its documentation not to change it: TestExpect watches over that.
func (s *Server) expect(ctx *fasthttp.RequestCtx) (status int) {
	s.decide(ctx)
	if status = ctx.Response.StatusCode(); status < fasthttp.StatusBadRequest {
		return fasthttp.StatusContinue
	}
	return status
}

// decide answers a request that is not to send its body, and does nothing to one that may.
func (s *Server) decide(ctx *fasthttp.RequestCtx) {
	c := s.begin(s.find(ctx), ctx, time.Now()) // fasthttp notes the time only after this
	defer c.finish()
	c.deciding = true
	err := c.admit()
	if err == nil && c.route.method == "" { // a refusal
		err = c.route.handle(c)
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.interim = true
}

// begin sets up a call and the headers that every answer has.
func (s *Server) begin(r *route, ctx *fasthttp.RequestCtx, began time.Time) *call {
	c := s.calls.Get().(*call)
	s.counts.inFlight.Add(1)
	c.http, c.route = ctx, r
	s.ids.choose(&c.id, ctx.Request.Header.Peek(headerRequestID))
	c.entry.begin(r, ctx, began)
	header := &ctx.Response.Header
	// In the form in which fasthttp compares names, so that it need not bring them into it each time.
	header.SetCanonical(canonicalRequestID, c.id.bytes())
	header.SetCanonical(headerContentTypeOptions, noSniff)
	header.SetCanonical(headerCacheControl, noStore)
	return c
}

var (
	canonicalRequestID       = []byte(headerRequestID)
	headerContentTypeOptions = []byte(fasthttp.HeaderXContentTypeOptions)
	noSniff                  = []byte("nosniff")
	noStore                  = []byte("no-store")
)

// admit checks all that can be checked before the body is read.
func (c *call) admit() error {
	if len(c.http.Request.Header.RequestURI()) > c.server.config.MaxURIBytes {
		return problemURITooLong
	}
	if !c.route.codeInURL && credentialInURL(c.http.QueryArgs()) {
		return problemSecretInURL
	}
	if err := c.authenticate(); err != nil {
		return err
	}
	if refusal := authorize(c.route, c.principal); refusal != nil {
		return refusal
	}
	if err := c.checkRate(); err != nil {
		return err
	}
	return c.checkBodyHeaders()
}

// authenticate finds out who is calling. Where no credential is needed only API keys are looked at,
// because they are refused there.
func (c *call) authenticate() error {
	text := credential(c.http)
	if text == nil {
		return c.authenticateBrowser()
	}
	if c.route.public && !claimsToBeAPIKey(text) {
		return nil
	}
	principal, err := c.checkFailures(text)
	if principal != nil || err != nil {
		c.principal = principal
		return err
	}
	// Look-ups have time limits of their own, so that a known credential costs no context.
	principal, err = c.server.services.Authenticator.Authenticate(c.server.work, text)
	if err != nil {
		c.noteFailure(err)
		if c.route.probe && errors.Is(err, schema.Unavailable) {
			return nil // the service can tell how it is even when ClickHouse is gone
		}
		return err
	}
	c.principal = principal
	return nil
}

// enter waits for the request's turn.
func (c *call) enter() error {
	switch c.route.queue {
	case queryQueue:
		if err := c.server.queries.enter(c.context()); err != nil {
			return err
		}
		c.entered = c.server.queries
	case streamQueue:
		c.watchDeparture()
		var owner string
		if c.principal != nil {
			owner = c.principal.OrgID
		}
		if err := c.server.streams.enter(c.context(), owner); err != nil {
			return err
		}
		c.streaming = &owner
	}
	return nil
}

// context returns the request's context: it ends at the route's time limit, when the answer is done,
// and at the end of a shutdown.
func (c *call) context() context.Context {
	if c.work == nil {
		c.work, c.cancel = context.WithTimeout(c.server.work, c.route.timeout)
	}
	return c.work
}

// fail answers with the problem that an error stands for.
func (c *call) fail(err error) {
	p := asProblem(err, c.route.input())
	c.entry.fail(p)
	c.server.counts.refuse(p)
	response := &c.http.Response
	response.ResetBody()
	response.Header.Del(headerNextCursor) // there is no page that another could follow
	setProblemHeaders(response, p)
	if p.policy != "" {
		c.setRateLimit(p)
	}
	c.writer.Reset()
	writeProblem(&c.writer, p, c.id.bytes())
	response.SetBody(c.writer.Buf)
	c.abandonBody()
	if p == problemBusy && c.route.body == pointsBody || p == problemSeats {
		c.holdConnection()
	}
}

// json answers with a value as JSON.
func (c *call) json(status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	c.reply(status, body)
	return nil
}

// reply answers with JSON, which it copies.
func (c *call) reply(status int, body []byte) {
	c.http.SetStatusCode(status)
	c.http.Response.Header.SetContentTypeBytes(contentTypeJSON)
	c.http.Response.SetBody(body)
}

var contentTypeJSON = []byte("application/json")

// finish ends a call when its handler has returned, or has panicked, which is answered like any
// fault of ours.
func (c *call) finish() {
	if fault := recover(); fault != nil {
		c.logPanic(fault)
		c.streams, c.interim = false, false
		c.fail(problemInternal)
	}
	c.entry.status = c.http.Response.StatusCode()
	if !c.streams {
		c.entry.bytes = int64(len(c.http.Response.Body()))
		c.end()
	}
}

// logPanic logs a fault of ours with the stack on which it happened.
func (c *call) logPanic(fault any) {
	c.server.config.Logger.Error("panic", "request_id", string(c.id.bytes()), "route", c.route.path,
		"fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
}

// end logs the call and gives back what it holds, and the call itself.
func (c *call) end() {
	if !c.interim {
		c.server.logCall(c)
		c.server.counts.of(c.route).done(c.entry.status, c.entry.began.Add(c.waited))
		if c.entry.broken {
			c.server.counts.refused[reasonCut].Add(1)
		}
	}
	c.server.counts.inFlight.Add(-1)
	c.departure.end()
	if c.entered != nil {
		c.entered.leave()
	}
	if c.streaming != nil {
		c.server.streams.leave(*c.streaming)
	}
	if c.cancel != nil {
		c.cancel()
	}
	scratch := c.scratch
	if cap(scratch) > maxScratch {
		scratch = nil
	}
	*c = call{server: c.server, scratch: scratch[:0], writer: c.writer}
	c.server.calls.Put(c)
}

// unreadable answers a request that could not be read; there is no call for it.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	p := transportProblem(err)
	s.counts.refuse(p)
	var id requestID
	s.ids.next(&id)
	ctx.Response.Header.SetBytesV(headerRequestID, id.bytes())
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	setProblemHeaders(&ctx.Response, p)
	ctx.Response.SetBody(problemBody(p, &id))
	lingerOnClose(ctx) // fasthttp closes the connection, in which the rest of the request may be
	if s.config.AccessLog != LogNothing {
		s.config.Logger.LogAttrs(context.Background(), slog.LevelInfo, "unreadable request",
			slog.String("request_id", string(id.bytes())), slog.Int("status", p.status))
	}
}
