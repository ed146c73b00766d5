package server

import (
	"fmt"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/query/latest"
	"lastseen/query/wire"
	"lastseen/schema"
	"lastseen/server/transport"
)

// directPolls answers polls of last_seen on the direct way of connections (transport.Direct). Who polls sends
// the same few headers again and again, and the general way with them, through fasthttp's request and
// response, costs several times what they ask for.
//
// It answers only what it understands completely (see transport.Plain), when the answer is 200 or 304 and
// comes from memory. All else goes the general way as if nobody had looked at it. Both ways give the
// same answer to the byte, the request's id aside: TestDirectPolls holds them against each other.
type directPolls struct {
	server  *Server
	route   *route
	answers sync.Pool // of *directAnswer
	date    atomic.Pointer[httpDate]
}

// directAnswer is the memory of one answer.
type directAnswer struct {
	buffer []byte
	tag    []byte
	body   []byte
	point  schema.DataPoint
	id     requestID
	from   pollOrigin

	principal *keys.Principal // whom it answers
}

// pollOrigin is where a poll comes from, as a caller.Origin.
type pollOrigin struct {
	address   netip.Addr
	forwarded [1][]byte // dies with the request
}

// Remote implements caller.Origin.
func (o *pollOrigin) Remote() (address netip.Addr, forwarded [][]byte) {
	if o.forwarded[0] == nil {
		return o.address, nil
	}
	return o.address, o.forwarded[:]
}

// httpDate is the text of the Date field for one second.
type httpDate struct {
	second int64 // Unix
	text   []byte
}

func newDirectPolls(s *Server) *directPolls {
	d := &directPolls{server: s, route: s.byPath[pathLastSeen][0]}
	d.answers.New = func() any { return new(directAnswer) }
	d.date.Store(new(httpDate))
	return d
}

// directStart is how a poll begins that may go the direct way.
var directStart = []byte(fasthttp.MethodGet + " " + pathLastSeen + "?session_id=")

// way is the direct way that leads here.
func (d *directPolls) way() *transport.Direct {
	if d == nil {
		return nil
	}
	return &transport.Direct{Start: directStart, Answer: d.answer}
}

// answer answers a poll and reports whether it did. Once the server drains nothing is answered here: a shutdown waits
// only for what has begun before.
func (d *directPolls) answer(c *transport.Conn, poll *transport.Plain) (answered bool, err error) {
	defer func() {
		if fault := recover(); fault != nil { // the general way meets it too, and answers
			d.server.config.Logger.Error("panic", "route", d.route.path, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
		}
	}()
	if d.server.draining.Load() || d.server.refusing.Load() != nil {
		return false, nil
	}
	began := time.Now()
	answer := d.answers.Get().(*directAnswer)
	defer d.answers.Put(answer)
	status := d.look(answer, c, poll, began)
	if status == 0 {
		return false, nil
	}
	if err := c.Reply(answer.buffer, began, d.server.config.WriteTimeout, d.server.config.IdleTimeout); err != nil {
		return true, err
	}
	d.server.counts.of(d.route).done(status, began)
	countUse(d.route, answer.principal, status, false)
	return true, nil
}

// look fills in the answer to a poll and returns its status, or 0 when the poll must go the general way, which is told
// whether the poll was counted here.
func (d *directPolls) look(a *directAnswer, c *transport.Conn, poll *transport.Plain, now time.Time) (status int) {
	s := d.server
	session, ok := schema.ParseID(poll.Parameter)
	if !ok || s.services.Owner.Own(session) != nil {
		return 0
	}
	principal, known := s.services.Authenticator.Known(poll.Credential)
	if !known {
		return 0
	}
	c.Carried(principal.OrgID)
	a.from.address, a.from.forwarded[0] = c.IP(), poll.Forwarded
	wait, refusal := s.decide(d.route, principal, &a.from, now, transport.Handover{})
	if refusal == nil {
		found := s.services.LastSeen.Peek(session, principal.OrgID, &a.point)
		if found != latest.NotFound && s.slots.Keep(c.Slot(), principal.OrgID, now) {
			s.services.Authenticator.CountKnown(principal)
			a.principal = principal
			s.services.LastSeen.CountLookup(found)
			return d.compose(a, found, poll.Tags, now)
		}
	}
	if refusal == nil || wait > 0 {
		c.HandOver(transport.Handover{Counted: true, Retry: wait})
	}
	return 0
}

// compose writes the answer with what was found and returns its status.
func (d *directPolls) compose(a *directAnswer, found latest.Status, tags []byte, now time.Time) (status int) {
	d.server.ids.next(&a.id)
	a.tag = appendTag(a.tag[:0], found, &a.point)
	if len(tags) > 0 && holdsTag([][]byte{tags}, a.tag) {
		a.buffer = d.appendDate(append(a.buffer[:0], "HTTP/1.1 304 Not Modified\r\nDate: "...), now)
		a.appendHeaders()
		return fasthttp.StatusNotModified
	}
	if found == latest.Found {
		a.body = wire.AppendDataPoint(a.body[:0], &a.point)
	} else {
		a.body = append(a.body[:0], jsonNull...)
	}
	a.buffer = d.appendDate(append(a.buffer[:0], "HTTP/1.1 200 OK\r\nDate: "...), now)
	a.buffer = append(a.buffer, directBodyFields...)
	a.buffer = strconv.AppendInt(a.buffer, int64(len(a.body)), 10)
	a.appendHeaders()
	a.buffer = append(a.buffer, a.body...)
	return fasthttp.StatusOK
}

// The fields of an answer that never change, in the order and the words of the general way; the value of
// the last one of each follows.
var (
	directBodyFields = fmt.Appendf(nil, "\r\nContent-Type: %s\r\nContent-Length: ", contentTypeJSON)
	directFields     = fmt.Appendf(nil, "\r\n%s: %s\r\n%s: %s\r\n%s: %s\r\n%s: ",
		headerContentTypeOptions, noSniff, headerCacheControl, revalidate, headerVary, varyAuthorization, headerETag)
)

// appendHeaders appends the fields that every answer to a poll has, and the end of the headers.
func (a *directAnswer) appendHeaders() {
	b := append(a.buffer, "\r\nX-Request-Id: "...)
	b = append(b, a.id.bytes()...)
	b = append(b, directFields...)
	b = append(b, a.tag...)
	a.buffer = append(b, "\r\n\r\n"...)
}

// appendDate appends a time as the Date field has it.
func (d *directPolls) appendDate(dst []byte, now time.Time) []byte {
	date := d.date.Load()
	if second := now.Unix(); date.second != second {
		date = &httpDate{second: second, text: fasthttp.AppendHTTPDate(nil, now)}
		d.date.Store(date)
	}
	return append(dst, date.text...)
}
