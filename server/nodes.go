package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/server/cluster"
	"lastseen/server/problem"
	"lastseen/server/transport"
)

const (
	// handTimeout is how much longer than the route's work an answer of the leader may take.
	handTimeout = 5 * time.Second
	// handConnections bounds the requests that are with the leader at a time, and handIdle how long a connection is kept.
	handConnections, handIdle = 1024, 5 * time.Second
	// handResponse bounds an answer of another node, in bytes.
	handResponse = 32 << 20
)

// nodeClients hand requests to other nodes, most of them to the one that takes changes. They are safe for concurrent use.
type nodeClients struct {
	nodes cluster.Nodes
	work  context.Context // ends with the server
	log   *slog.Logger

	mu      sync.Mutex
	clients map[string]*nodeClient // by the address of members, and for a moment of who was one
}

// nodeClient hands requests to one node, as long as that is a member.
type nodeClient struct {
	*fasthttp.HostClient
	// end ends the requests that wait for an answer, with their connections.
	end context.CancelFunc
}

// errNoOther says that no other node can be asked.
var errNoOther = errors.New("no other node can be asked")

// hand hands a request to the leader and passes the answer on. One that came from another node stays here: that one was mistaken, and
// asks again.
func (l *nodeClients) hand(c *call) error {
	address, known := l.nodes.Leader()
	if !known || fromNode(c) {
		return problem.NoLeader
	}
	err := l.handTo(c, address, c.route.timeout)
	if errors.Is(err, errNoOther) {
		return problem.NoLeader
	}
	return err
}

// fromNode reports whether another node hands the request over.
func fromNode(c *call) bool { return c.connection().IP() == transport.PeerAddress }

// handTo hands a request to the node at an address, which may work on it for a time. It fails with errNoOther where that does not answer.
func (l *nodeClients) handTo(c *call, address string, timeout time.Duration) error {
	request := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(request)
	c.http.Request.Header.CopyTo(&request.Header)
	request.UseHostHeader = true
	request.Header.Del(fasthttp.HeaderExpect)
	request.Header.Set(fasthttp.HeaderXForwardedFor, c.server.proxies.Address(c.Remote()).String())
	request.Header.SetBytesV(headerRequestID, c.id.bytes())
	switch {
	case c.route.body == noBody: // one that came all the same means nothing, here as there
		request.Header.Del(fasthttp.HeaderTransferEncoding)
		request.Header.SetContentLength(0)
	case c.http.RequestBodyStream() != nil:
		request.SetBodyStream(c.body(), c.http.Request.Header.ContentLength())
	}
	response := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(response)
	if err := l.of(address).DoTimeout(request, response, timeout+handTimeout); err != nil {
		if cut, is := errors.AsType[*problem.Problem](err); is {
			return cut // the body could not be read
		}
		l.log.Debug("another node does not answer", "address", address, "error", err)
		return errNoOther
	}
	response.Header.ResetConnectionClose() // it is about the connection with the leader
	response.CopyTo(&c.http.Response)
	return nil
}

// watch ends requests that wait for a node which is no member any more, until ctx ends. One that was stopped with its connections open
// would never answer; what it was asked may have been carried out.
func (l *nodeClients) watch(ctx context.Context) {
	for {
		changed := l.nodes.Changed()
		l.mu.Lock()
		for address, client := range l.clients {
			if !l.nodes.Member(address) {
				client.end()
				delete(l.clients, address)
			}
		}
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// of is who hands requests to the node at an address.
func (l *nodeClients) of(address string) *nodeClient {
	l.mu.Lock()
	defer l.mu.Unlock()
	if client := l.clients[address]; client != nil {
		return client
	}
	open, end := context.WithCancel(l.work)
	client := &nodeClient{end: end, HostClient: &fasthttp.HostClient{
		Addr: address, MaxConns: handConnections, MaxConnWaitTimeout: time.Second, MaxIdleConnDuration: handIdle, MaxIdemponentCallAttempts: 1,
		MaxResponseBodySize: handResponse, ReadBufferSize: 16 << 10, NoDefaultUserAgentHeader: true, DisablePathNormalizing: true,
		Dial: func(address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(open, time.Second)
			defer cancel()
			conn, err := l.nodes.Dial(ctx, address)
			if err != nil {
				return nil, err
			}
			return newHandConn(open, conn), nil
		},
	}}
	l.clients[address] = client
	return client
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

// peerListener is a listener of connections with other nodes.
type peerListener struct{ net.Listener }

// Accept implements net.Listener.
func (l peerListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return peerConn{conn}, nil
}

// peerConn is a connection with another node, which says where each request comes from.
type peerConn struct{ net.Conn }

// RemoteAddr implements net.Conn.
func (peerConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IP(transport.PeerAddress.AsSlice())}
}
