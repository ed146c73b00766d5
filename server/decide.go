package server

import (
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/schema"
	"lastseen/server/caller"
	"lastseen/server/problem"
	"lastseen/server/transport"
)

// decide says whether a caller may have an answer of a route: first whether the route is open to it from where it calls, then whether its
// rate leaves it a request, of which one is then taken. Every request goes through it once, on whichever way it comes;
// after it, a poll looks its session up and then needs a slot, on both ways in this order.
//
// A request that was counted before is not counted again: what came of it then is in note.
func (s *Server) decide(r *route, principal *keys.Principal, from caller.Origin, began time.Time, note transport.Handover) (wait time.Duration, _ error) {
	if err := s.permit(r, principal, from); err != nil {
		return 0, err
	}
	if principal == nil {
		return 0, nil
	}
	if wait = note.Retry; !note.Counted {
		wait = s.rates.TakeRequest(principal, began)
	}
	if wait > 0 {
		return wait, errRequests
	}
	return 0, nil
}

// permit says whether a route is open to a caller, from where it calls.
func (s *Server) permit(r *route, principal *keys.Principal, from caller.Origin) error {
	if err := r.Authorize(principal); err != nil {
		return err
	}
	if principal != nil && len(principal.Limits.Ranges) > 0 && !s.proxies.Allow(principal.Limits.Ranges, from) {
		return caller.ErrAddress
	}
	return nil
}

// Remote implements caller.Origin.
func (c *call) Remote() (address netip.Addr, forwarded [][]byte) {
	forwarded = c.http.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor)
	if ours := c.connection(); ours != nil {
		return ours.IP(), forwarded
	}
	return transport.ClientAddress(c.http.RemoteAddr()), forwarded
}

// admit checks all that can be checked before the body is read.
func (c *call) admit() error {
	if err := c.checkForm(); err != nil {
		return err
	}
	note := c.connection().TakeHandover()
	if len(c.http.Request.Header.RequestURI()) > c.server.config.MaxURIBytes {
		return problem.URITooLong
	}
	if !c.route.codeInURL && caller.InURL(c.http.QueryArgs()) {
		return problem.SecretInURL
	}
	if err := c.authenticate(); err != nil {
		return c.refuseInTurn(err)
	}
	if c.decidedBefore() {
		note.Counted = true
	}
	wait, err := c.server.decide(c.route, c.principal, c, c.entry.began, note)
	if err != nil && c.principal == nil {
		return c.refuseInTurn(err)
	}
	if err != nil {
		return c.limited(err, wait)
	}
	return c.checkBodyHeaders()
}

// inTouch returns nil when this process, of several nodes this one, may answer the request from what it knows. It comes before anything is looked up for the request,
// its credential too.
func (c *call) inTouch() error {
	if c.route.anywhere {
		return nil
	}
	if refusal := c.server.refusing.Load(); refusal != nil {
		return refusal
	}
	nodes := c.server.services.Nodes
	if nodes == nil {
		return nil
	}
	return nodes.Enter(c.server.work)
}

// own fails where another node answers for a session. Of several nodes each answers for all of them, and inTouch has asked.
func (c *call) own(session schema.ID) error {
	if c.server.services.Nodes != nil {
		return nil
	}
	return c.server.services.Owner.Own(session)
}

// isForLeader reports whether another node must handle the request, which this one has let in.
func (c *call) isForLeader() bool {
	nodes := c.server.services.Nodes
	return nodes != nil && (c.route.changes() || c.route.atLeader) && !nodes.Leads()
}

// checkForm refuses what fasthttp takes and RFC 9112 does not allow, or allows to refuse: other versions of HTTP, lines
// that end in a bare LF, and continued lines. What stands between us and the client may read such a request
// differently.
func (c *call) checkForm() error {
	header := &c.http.Request.Header
	if version := header.Protocol(); string(version) != "HTTP/1.1" && string(version) != "HTTP/1.0" {
		c.http.SetConnectionClose()
		return problem.HTTPVersion
	}
	if c.connection().BareLine() || !transport.WellFormed(header.RawHeaders()) {
		c.http.SetConnectionClose()
		return problem.Malformed
	}
	return nil
}

// authenticate finds out who is calling.
func (c *call) authenticate() error {
	principal, wait, err := c.server.identifier.Identify(c.server.work, c.asked())
	if err != nil {
		return c.limited(err, wait)
	}
	if c.principal = principal; principal != nil {
		c.connection().Carried(principal.OrgID)
	}
	return nil
}

// refuseInTurn returns why nobody is known to be calling when it is the turn of the caller's address: no rate bounds requests without a
// credential, or with one that was good once. Whoever is past a rate waits for that.
func (c *call) refuseInTurn(err error) error {
	if c.retry > 0 {
		return err
	}
	turns := c.server.refusalTurns
	turns.Ask(c.turnOwner(), c.entry.began)
	if _, late := c.turn(turns, c.server.config.QueueWait); late != nil {
		return late
	}
	return err
}

// stillAllowed checks once more who is calling and whether the route is open to them: the credential of an answer that
// takes long may have been revoked meanwhile, or have expired.
func (c *call) stillAllowed() error {
	if err := c.inTouch(); err != nil {
		return err
	}
	if err := c.authenticate(); err != nil {
		return err
	}
	return c.server.permit(c.route, c.principal, c)
}

// asked is the request as those see it who find out who is calling.
func (c *call) asked() caller.Request {
	return caller.Request{HTTP: c.http, Access: &c.route.Access, Began: c.entry.began, Again: c.decidedBefore()}
}

// decidedBefore reports whether preview has let this request in before, and has counted it.
func (c *call) decidedBefore() bool { return !c.previews && c.http.Request.MayContinue() }

// expect decides about a request with Expect: 100-continue from its headers alone, so that a body
// that would be refused is never sent. serve runs afterwards when it says yes.
//
// fasthttp sends the response as it finds it with the status that is returned here, although it asks
// in its documentation not to change it: TestExpect watches over that.
func (s *Server) expect(ctx *fasthttp.RequestCtx) (status int) {
	s.preview(ctx)
	if status = ctx.Response.StatusCode(); status < fasthttp.StatusBadRequest {
		return fasthttp.StatusContinue
	}
	return status
}

// preview answers a request that is not to send its body, and does nothing to one that may.
func (s *Server) preview(ctx *fasthttp.RequestCtx) {
	c := s.begin(s.find(ctx), ctx, time.Now()) // fasthttp notes the time only after this
	defer c.finish()
	c.previews = true
	err := c.inTouch()
	if err == nil {
		err = c.admit()
	}
	if err == nil && c.route.method == "" { // a refusal
		err = c.route.handle(c)
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.interim = true
}
