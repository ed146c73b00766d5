package transport

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"lastseen/server/limit"
)

// What Linger reads is bounded, so that a client that never stops sending does not keep its connection.
const (
	lingerTime  = 5 * time.Second
	lingerBytes = 256 << 20
)

// Conn is an accepted connection. Only the goroutine that serves it uses it, but for Listener.Cut and Listener.Settle.
// The methods that are not those of a net.Conn may be called on nil, which stands for a connection of another kind, but
// for those of the direct way, HandOver and Reply.
type Conn struct {
	net.Conn
	listener  *Listener
	address   netip.Prefix
	ip        netip.Addr
	linger    bool
	between   bool        // requests: what arrives next begins one
	answering atomic.Bool // directly

	slot     limit.Holder // of a slot for polls
	line     requestLine  // of the request that arrives, or has
	plain    Plain        // what the direct way is asked
	handover Handover

	held      bool // not to be read for a while
	pipelined bool // sent the next request while it was held

	served  bool   // it has brought a request before the present one
	carried string // an organisation whose requests it has brought
	several bool   // it has brought those of others too
	origin  *origin

	secure *secure // TLS; nil without

	vector *vector // what is written goes here while an Answer collects
	joins  bool    // see Join
	joined *vector // the beginning of an answer of which more is to come
	answer *Answer // that is being sent, until the next request begins

	reading, writing deadline
}

// Handover is what the direct way has found out of a request that it leaves to the general way.
type Handover struct {
	// Counted says that the request was counted against its caller's rate, so that it is not counted again; Retry is
	// then how long the rate makes it wait, 0 when it lets it in.
	Counted bool
	Retry   time.Duration
}

// Of returns a connection that a Listener has accepted, and nil for any other.
func Of(c net.Conn) *Conn {
	ours, _ := c.(*Conn)
	return ours
}

// Address is what the address at the other end counts as; see AddressPrefix. Anything but TCP counts as one.
func (c *Conn) Address() netip.Prefix {
	if c == nil {
		return netip.Prefix{}
	}
	return c.address
}

// IP is the address at the other end, and the zero address where there is none.
func (c *Conn) IP() netip.Addr {
	if c == nil {
		return netip.Addr{}
	}
	return c.ip
}

// Slot is the connection's place among those that poll, and nil where slots do not apply.
func (c *Conn) Slot() *limit.Holder {
	if c == nil {
		return nil
	}
	return &c.slot
}

// HandOver leaves a note for the general way about the request that the direct way does not answer.
func (c *Conn) HandOver(note Handover) { c.handover = note }

// TakeHandover returns the note about the present request, the zero value where there is none, and drops it.
func (c *Conn) TakeHandover() (note Handover) {
	if c != nil {
		note, c.handover = c.handover, Handover{}
	}
	return note
}

// BareLine reports whether the present request's first line ended in a bare LF. Of a request that was sent before the answer to
// the one before it nothing is known.
func (c *Conn) BareLine() bool { return c != nil && c.line.bare }

// Linger makes Close read for a moment what the client is still sending. Without it, the kernel answers the unread
// rest of a refused request with a reset, which can overtake our answer, and the client sees a broken connection
// instead of the reason.
func (c *Conn) Linger() {
	if c != nil {
		c.linger = true
	}
}

// Read reads until the deadline. What the direct way answers is not returned.
func (c *Conn) Read(p []byte) (n int, err error) {
	if c.between {
		c.pipelined = false
		if c.held {
			c.pause()
		}
	}
	for {
		n, err = c.read(p)
		if c.between {
			c.line = requestLine{}
		}
		if err != nil || !c.between || c.listener.options.Direct == nil {
			c.line.add(p[:n])
			return n, err
		}
		answered, err := c.answerDirectly(p[:n])
		if !answered {
			c.between = false
			c.line.add(p[:n])
			return n, nil
		}
		c.pipelined = false
		if err != nil {
			return 0, err
		}
	}
}

// Idle notes that a connection is between two requests, the one before read to its end and answered, or is no longer.
func Idle(accepted net.Conn, idle bool) {
	if c := Of(accepted); c != nil {
		_ = c.flush() // an answer that was one full buffer; an error shows at the next read
		c.between, c.answer, c.joins = idle, nil, false
		c.served = c.served || idle
	}
}

// Close closes the connection and gives its place to the next.
func (c *Conn) Close() error {
	_ = c.flush() // the connection ends in any case
	c.secure.bye()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger && half.CloseWrite() == nil {
		if c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			io.Copy(io.Discard, io.LimitReader(c.Conn, lingerBytes)) // until the client closes or the time is up
		}
	}
	err := c.Conn.Close()
	c.listener.unregister(c)
	return err
}
