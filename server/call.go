package server

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/go-faster/jx"
	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/server/limit"
	"lastseen/server/problem"
	"lastseen/server/transport"
)

// call is one request on its way through the server. It is pooled: it lives until end, which finish
// calls when the handler has returned, or the streamed answer when it is closed.
type call struct {
	server    *Server
	http      *fasthttp.RequestCtx
	route     *route
	id        requestID
	principal *keys.Principal // nil without a credential
	entry     logEntry
	span      requestSpan
	scratch   []byte    // for the answer; its capacity is kept
	writer    jx.Writer // for a refusal; its capacity is kept

	work      context.Context // nil until somebody asks
	cancel    context.CancelFunc
	entered   limit.Pass           // to what the route's queue bounds; left at the end
	opened    limit.Pass           // of a history, to those that are open, or of what makes something, to those that do; likewise
	shown     limit.Pass           // of a public history, to those of its organisation; likewise
	filed     limit.Pass           // of a public file, to those that are read; likewise
	leastRate func() int64         // see stream.Call
	departure *transport.Departure // nil unless the route streams
	reader    bodyReader
	waited    time.Duration // for a change or to be refused, which is no time that the answer took
	retry     time.Duration // until a limit on a rate lets the caller go on
	previews  bool          // a request with Expect: 100-continue
	streams   bool          // end comes with the answer's last byte
	interim   bool          // another call for the same request follows, which is the one to log
}

// maxScratch bounds the memory that a pooled call keeps.
const maxScratch = 64 << 10

// serve answers a request by its route.
func (s *Server) serve(r *route, ctx *fasthttp.RequestCtx) {
	c := s.begin(r, ctx, ctx.Time())
	defer c.finish()
	c.span = beginSpan(s, r, &c.id, ctx.Time())
	err := c.inTouch()
	if err == nil {
		err = c.admit()
	}
	switch {
	case err != nil:
	case c.isForLeader():
		err = c.server.others.hand(c)
	default:
		err = c.run()
	}
	if err != nil {
		c.fail(err)
	}
}

// run handles the request when it is its turn.
func (c *call) run() error {
	if err := c.enter(); err != nil {
		return err
	}
	turns := c.turnsOf()
	if !c.route.urgent && (turns == nil || turns == c.server.shortTurns) {
		return c.route.handle(c)
	}
	entered := time.Now()
	err := c.route.handle(c)
	switch took := time.Since(entered); {
	case c.route.urgent: // it has waited for no turn
		c.server.changeTurns.Spent(c.turnOwner(), entered, min(took, mostOfChange), mostOfRevocations)
	case turns == c.server.changeTurns:
		turns.Took(c.turnOwner(), min(took, mostOfChange))
	default:
		turns.Took(c.turnOwner(), took)
	}
	return err
}

// turnsOf returns in which turns the route's requests are answered, nil for none.
func (c *call) turnsOf() *limit.Turns {
	switch c.route.queue {
	case changeQueue:
		return c.server.changeTurns
	case memoryQueue:
		return c.server.listTurns
	case turnQueue:
		return c.server.shortTurns
	}
	return nil
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

// enter takes the request through the gates of its route, where it may have to wait.
func (c *call) enter() (err error) {
	request := limit.Request{Owner: c.owner(), Weight: 1, Urgent: c.route.urgent}
	if turns := c.turnsOf(); turns != nil {
		turns.Ask(c.turnOwner(), c.entry.began)
		if _, err := c.turn(turns, c.server.config.QueueWait); err != nil {
			return err
		}
	}
	switch c.route.queue {
	case changeQueue:
		if c.opened, err = c.server.changes.Enter(c.context(), request); err == nil {
			c.entered, err = c.server.queries.Enter(c.context(), request)
		}
	case queryQueue:
		c.entered, err = c.server.queries.Enter(c.context(), request)
	case memoryQueue:
		c.entered, err = c.server.lists.Enter(c.context(), request)
	case streamQueue:
		c.watchDeparture()
		request.From = c.from()
		if c.opened, err = c.server.open.TryEnter(request); err == nil {
			c.entered, err = c.server.streams.Enter(c.context(), request)
		}
	}
	if err == nil && c.route.queue != noQueue {
		c.span.note("admitted")
	}
	return err
}

// turnOwner is who has turns: an organisation or, without a credential, an address.
func (c *call) turnOwner() string {
	if c.principal == nil {
		return c.from()
	}
	return c.principal.OrgID
}

// from is the address that the request comes from.
func (c *call) from() string { return c.server.proxies.Client(c.http).String() }

// turn waits for the next turn of who has asked for one and reports whether it did, or fails with limit.ErrShare when that would
// be longer than a time.
func (c *call) turn(turns *limit.Turns, patience time.Duration) (waited bool, _ error) {
	began := time.Now()
	wait, err := turns.Take(c.turnOwner(), began, patience)
	if wait == 0 {
		return false, err
	}
	c.pass(wait)
	return true, nil
}

// pass lets a time pass, of which a shutdown leaves nothing.
func (c *call) pass(wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.server.stopping:
	}
}

// owner is whose share of what is limited the request takes from.
func (c *call) owner() string {
	if c.principal == nil {
		return limit.Public
	}
	return c.principal.OrgID
}

// pause gives the place of a history up while its client is slow to read.
func (c *call) pause() {
	c.server.counts.suspends.Add(1)
	c.entered.Leave()
}

// resume takes the place again, for which it waits as long as the history may take.
func (c *call) resume() (err error) {
	c.entered, err = c.server.streams.Enter(c.context(), limit.Request{Owner: c.owner(), From: c.from(), Weight: 1, Wait: c.route.timeout})
	return err
}

// watchDeparture makes the call's context end when the client goes away. The call's end stops the watch and waits for it.
func (c *call) watchDeparture() {
	c.work, c.departure = transport.WatchDeparture(c.context(), c.http.Conn())
}

// context returns the request's context: it ends at the route's time limit, when the answer is done,
// and at the end of a shutdown.
func (c *call) context() context.Context {
	if c.work == nil {
		c.work, c.cancel = context.WithTimeout(c.span.within(c.server.work), c.route.timeout)
	}
	return c.work
}

// fail answers with the problem that an error stands for.
func (c *call) fail(err error) {
	p := problem.From(err, c.route.input())
	c.entry.fail(p)
	c.server.counts.refuse(p)
	response := &c.http.Response
	response.ResetBody()
	response.Header.Del(headerNextCursor) // there is no page that another could follow
	p.SetHeaders(response)
	if p.Policy != "" {
		c.setRateLimit(p)
	}
	c.writer.Reset()
	p.Write(&c.writer, c.id.bytes())
	response.SetBody(c.writer.Buf)
	c.abandonBody()
	if p == problem.Busy || p == problem.Slots || p == problem.Share || p.Reason == problem.ReasonRate {
		c.hold(p)
	}
}

// connection is the connection on which the request came; nil for one that is not ours.
func (c *call) connection() *transport.Conn { return transport.Of(c.http.Conn()) }

// hold keeps who is refused from asking again at once. A connection of the caller's own pauses after the answer, and one whose client
// does not wait for answers ends. A proxy's cannot pause, since it shares it among clients, and to who opens a connection for each request that
// is nothing: there the answer waits for a turn of the caller's.
//
// That a connection is a proxy's shows on others of its address too, which counts where a caller is past its own rate. Where the service has no more
// to give, many callers are refused at once, and all connections must pause but those that are known to be a proxy's by themselves.
func (c *call) hold(p *problem.Problem) {
	several := c.connection().Several()
	if p.Reason == problem.ReasonRate {
		several = c.connection().SeveralBeside()
	}
	shared := c.server.proxies.Shared(c.http, several)
	if shared || c.connection().Fresh() {
		c.delay()
	}
	if !shared && c.connection().Hold() {
		c.http.SetConnectionClose()
	}
}

// delay waits for a turn of the caller's to be refused, but no longer than a connection pauses. Other nodes wait for none: a few of their
// connections carry the requests of all clients.
func (c *call) delay() {
	if c.connection().IP() == transport.PeerAddress {
		return
	}
	c.leave()
	began, turns := time.Now(), c.server.refusalTurns
	turns.Ask(c.turnOwner(), began)
	wait, err := turns.Take(c.turnOwner(), began, transport.HoldTime)
	if err != nil {
		wait = transport.HoldTime
	}
	c.pass(wait)
	c.waited += time.Since(began)
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

// replyLong answers with JSON that may be long: the answer takes the body over, without a copy, and leaves other memory in its place.
// The connection sends it together with its head.
func (c *call) replyLong(status int, body *[]byte) {
	c.http.SetStatusCode(status)
	c.http.Response.Header.SetContentTypeBytes(contentTypeJSON)
	*body = c.http.Response.SwapBody(*body)
	c.connection().Join()
}

// redirect sends a browser on by a GET. The address is one of ours or the identity provider's, never
// one that a request brought.
func (c *call) redirect(address string) error {
	c.http.Response.Header.Set(fasthttp.HeaderLocation, address)
	c.http.SetStatusCode(fasthttp.StatusSeeOther)
	return nil
}

var contentTypeJSON = []byte("application/json")

// finish ends a call when its handler has returned, or has panicked, which is answered like any
// fault of ours.
func (c *call) finish() {
	if fault := recover(); fault != nil {
		c.logPanic(fault)
		c.streams, c.interim = false, false
		c.fail(problem.Internal)
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
		countUse(c.route, c.principal, c.entry.status, c.entry.broken)
		if c.entry.broken {
			c.server.counts.refused[problem.ReasonCut].Add(1)
		}
	}
	c.server.counts.inFlight.Add(-1)
	c.span.end(c)
	c.departure.Stop()
	c.leave()
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

// leave gives up every place that the call has.
func (c *call) leave() {
	c.entered.Leave()
	c.opened.Leave()
	c.shown.Leave()
	c.filed.Leave()
}

// unreadable answers a request that could not be read; there is no call for it.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	p := problem.FromReading(err)
	s.counts.refuse(p)
	var id requestID
	s.ids.next(&id)
	ctx.Response.Header.SetBytesV(headerRequestID, id.bytes())
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	p.SetHeaders(&ctx.Response)
	ctx.Response.SetBody(p.Body(id.bytes()))
	transport.Of(ctx.Conn()).Linger() // fasthttp closes the connection, in which the rest of the request may be
	if s.config.AccessLog != LogNothing {
		s.config.Logger.LogAttrs(context.Background(), slog.LevelInfo, "unreadable request",
			slog.String("request_id", string(id.bytes())), slog.Int("status", p.Status))
	}
}
