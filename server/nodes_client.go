package server

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// handConnections bounds the requests that are with another node at a time, and those again that wait there for a change. handIdle is how
	// long a connection is kept.
	handConnections, handIdle = 1024, 5 * time.Second
	// handDials bounds the connections that are being made to another node at a time: each costs both sides some milliseconds, the other side
	// has 256 places for all that have not shown yet who they are, and a thousand at once would keep the processors from what must not be late.
	handDials = 16
	// dialTimeout is for making one, dialWait for its turn: on a busy machine a thousand take some seconds. Who waits for a node that is gone waits no
	// longer than that is a member.
	dialTimeout, dialWait = 3 * time.Second, 15 * time.Second
	// changePlace and waitPlace are how long a request waits for a place among those that are with the other node. Those that wait for a change there leave
	// theirs too late for others to wait for it.
	changePlace, waitPlace = 5 * time.Second, time.Second
	// handResponse bounds an answer of another node, in bytes.
	handResponse = 32 << 20
)

// handFor says to which node requests go, and what for: those that wait there for a change have connections of their own, lest they take
// those away from what changes something.
type handFor struct {
	address string
	waits   bool
}

// nodeClient hands requests to one node, as long as that is a member.
type nodeClient struct {
	*fasthttp.HostClient
	// end ends the requests that wait for an answer, with their connections.
	end context.CancelFunc
}

// of is who hands requests to a node.
func (l *nodeClients) of(to handFor) *nodeClient {
	l.mu.Lock()
	defer l.mu.Unlock()
	if client := l.clients[to]; client != nil {
		return client
	}
	open, end := context.WithCancel(l.work)
	dials, place := make(chan struct{}, handDials), changePlace
	if to.waits {
		place = waitPlace
	}
	client := &nodeClient{end: end, HostClient: &fasthttp.HostClient{
		Addr: to.address, MaxConns: handConnections, MaxConnWaitTimeout: place, MaxIdleConnDuration: handIdle, MaxIdemponentCallAttempts: 1,
		MaxResponseBodySize: handResponse, ReadBufferSize: 16 << 10, NoDefaultUserAgentHeader: true, DisablePathNormalizing: true,
		Dial: func(address string) (net.Conn, error) {
			if err := enterDials(open, dials); err != nil {
				return nil, err
			}
			defer func() { <-dials }()
			ctx, cancel := context.WithTimeout(open, dialTimeout)
			defer cancel()
			conn, err := l.nodes.Dial(ctx, address)
			if err != nil {
				return nil, err
			}
			return newHandConn(open, conn), nil
		},
	}}
	l.clients[to] = client
	return client
}

// errManyDials says that too many connections are being made.
var errManyDials = errors.New("too many connections to the other node are being made")

// enterDials waits for a place among the connections that are being made. It fails with errManyDials, or when open ends.
func enterDials(open context.Context, dials chan<- struct{}) error {
	late := time.NewTimer(dialWait)
	defer late.Stop()
	select {
	case dials <- struct{}{}:
		return nil
	case <-late.C:
		return errManyDials
	case <-open.Done():
		return context.Cause(open)
	}
}

// handConn is a connection to another node that ends with a context.
type handConn struct {
	net.Conn
	forget func() bool
}

// newHandConn has a connection closed when open ends, whatever waits for it.
func newHandConn(open context.Context, conn net.Conn) *handConn {
	below := conn
	if secured, is := conn.(interface{ NetConn() net.Conn }); is {
		below = secured.NetConn() // whose end waits for nothing that the other side would have to read
	}
	return &handConn{conn, context.AfterFunc(open, func() { _ = below.Close() })}
}

// Close implements net.Conn.
func (c *handConn) Close() error {
	c.forget()
	return c.Conn.Close()
}
