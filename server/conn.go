package server

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// listener hands out at most a number of connections, in all and to one address; those past it are
// answered 503 or 429 and closed. It knows which connections are open, so that a shutdown can wait
// for them and cut those that stay.
type listener struct {
	net.Listener
	maxConnections int
	maxPerAddress  int // 0: no limit
	ids            *idSource
	direct         *directPolls    // nil for none
	stopping       <-chan struct{} // closed when a shutdown begins

	mu         sync.Mutex
	open       map[*conn]struct{}
	perAddress map[netip.Prefix]int
	empty      chan struct{} // closed when the last connection closes; nil until somebody waits

	refused  atomic.Uint64
	accepted uint64 // by Accept only
}

func newListener(inner net.Listener, maxConnections, maxPerAddress int, ids *idSource, direct *directPolls, stopping <-chan struct{}) *listener {
	return &listener{
		Listener: inner, maxConnections: maxConnections, maxPerAddress: maxPerAddress, ids: ids, direct: direct, stopping: stopping,
		open: map[*conn]struct{}{}, perAddress: map[netip.Prefix]int{},
	}
}

// Accept returns the next connection that is within the limits.
func (l *listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.accepted++
		c := &conn{Conn: accepted, listener: l, address: clientPrefix(accepted.RemoteAddr()), serial: l.accepted}
		if refusal := l.register(c); refusal != nil {
			l.refuse(accepted, refusal)
			continue
		}
		return c, nil
	}
}

var (
	problemConnections = &problem{status: fasthttp.StatusServiceUnavailable, reason: reasonConnections, retryAfter: 1,
		detail: "The service has as many connections as it accepts; try again in a second."}
	problemAddressConnections = &problem{status: fasthttp.StatusTooManyRequests, reason: reasonConnections, retryAfter: 1,
		detail: "There are too many connections from your address; reuse them, or try again in a second."}
)

func (l *listener) register(c *conn) *problem {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.maxConnections {
		return problemConnections
	}
	if l.maxPerAddress > 0 && l.perAddress[c.address] >= l.maxPerAddress {
		return problemAddressConnections
	}
	l.open[c] = struct{}{}
	l.perAddress[c.address]++
	return nil
}

func (l *listener) unregister(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.open[c]; !open {
		return
	}
	delete(l.open, c)
	if l.perAddress[c.address]--; l.perAddress[c.address] == 0 {
		delete(l.perAddress, c.address)
	}
	if len(l.open) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// refuse answers a connection that is past a limit. The answer fits into the socket's buffer, so
// this does not wait for the client.
func (l *listener) refuse(c net.Conn, p *problem) {
	defer c.Close()
	l.refused.Add(1)
	var id requestID
	l.ids.next(&id)
	response := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(response)
	setProblemHeaders(response, p)
	response.Header.SetBytesV(headerRequestID, id.bytes())
	response.SetConnectionClose()
	response.SetBody(problemBody(p, &id))
	if c.SetWriteDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	w := bufio.NewWriter(c)
	if response.Write(w) == nil {
		w.Flush() // the client is told why if it can be; it is cut off in any case
	}
}

// size returns how many connections are open.
func (l *listener) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// wait returns when no connection is open or when ctx ends.
func (l *listener) wait(ctx context.Context) error {
	l.mu.Lock()
	if len(l.open) == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	empty := l.empty
	l.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle returns when no answer is on its way that directPolls began, or when ctx ends. None begins once
// the server drains.
func (l *listener) settle(ctx context.Context) {
	l.mu.Lock()
	open := slices.Collect(maps.Keys(l.open))
	l.mu.Unlock()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for _, c := range open {
		for c.answering.Load() {
			select {
			case <-look.C:
			case <-ctx.Done():
				return
			}
		}
	}
}

// cut closes every connection as it is. Those who serve them notice when they next read or write.
func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		c.Conn.Close()
	}
}

const (
	lingerTime  = 5 * time.Second
	lingerBytes = 256 << 20
)

// conn is an accepted connection. Only the goroutine that serves it uses it, besides cut and settle.
type conn struct {
	net.Conn
	listener  *listener
	address   netip.Prefix
	linger    bool
	between   bool        // requests: what arrives next begins one
	answering atomic.Bool // directly

	serial   uint64 // no other connection of the listener has it
	seat     int64  // number of the one it had last; see seats
	polledIn int64  // the number of looks of seats when it did last

	held      bool // not to be read for a while
	impatient bool // sent the next request while it was held

	gathered *gathered // what is written goes here while gather runs
	consumer consumer  // of the answer that gather sends; the zero value for other answers

	reading, writing deadline
}

// Read reads until the deadline. What directPolls answers is not returned.
func (c *conn) Read(p []byte) (n int, err error) {
	if c.between {
		c.impatient = false
		if c.held {
			c.hold()
		}
	}
	for {
		n, err = c.read(p)
		if err != nil || !c.between || c.listener.direct == nil {
			return n, err
		}
		answered, err := c.listener.direct.answer(c, p[:n])
		if !answered {
			c.between = false
			return n, nil
		}
		c.impatient = false
		if err != nil {
			return 0, err
		}
	}
}

// changed is fasthttp's notice that a connection begins or ends a request. It is between requests only when the
// one before was read to its end and answered.
func changed(accepted net.Conn, state fasthttp.ConnState) {
	if c, ok := accepted.(*conn); ok {
		c.between, c.consumer = state == fasthttp.StateIdle, consumer{}
	}
}

// lingerOnClose makes a connection's Close read for a moment what the client is still sending.
// Without it, the kernel answers the unread rest of a refused request with a reset, which can
// overtake our answer, and the client sees a broken connection instead of the reason.
func lingerOnClose(ctx *fasthttp.RequestCtx) {
	if c, ok := ctx.Conn().(*conn); ok {
		c.linger = true
	}
}

// Close closes the connection and gives its place to the next.
func (c *conn) Close() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger && half.CloseWrite() == nil {
		if c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			io.Copy(io.Discard, io.LimitReader(c.Conn, lingerBytes)) // until the client closes or the time is up
		}
	}
	err := c.Conn.Close()
	c.listener.unregister(c)
	return err
}
