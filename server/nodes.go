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
	// mostNodes is how many nodes are remembered.
	mostNodes = 16
)

// nodeClients hand requests to other nodes, most of them to the one that takes changes. They are safe for concurrent use.
type nodeClients struct {
	nodes cluster.Nodes
	work  context.Context // ends with the server
	log   *slog.Logger

	mu      sync.Mutex
	clients map[string]*fasthttp.HostClient // by the node's address
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

// of is who hands requests to the node at an address.
func (l *nodeClients) of(address string) *fasthttp.HostClient {
	l.mu.Lock()
	defer l.mu.Unlock()
	if client := l.clients[address]; client != nil {
		return client
	}
	if len(l.clients) >= mostNodes { // some are of nodes that are gone; connections of the others are made anew
		for _, client := range l.clients {
			client.CloseIdleConnections()
		}
		clear(l.clients)
	}
	client := &fasthttp.HostClient{
		Addr: address, MaxConns: handConnections, MaxConnWaitTimeout: time.Second, MaxIdleConnDuration: handIdle, MaxIdemponentCallAttempts: 1,
		MaxResponseBodySize: handResponse, ReadBufferSize: 16 << 10, NoDefaultUserAgentHeader: true, DisablePathNormalizing: true,
		Dial: func(address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(l.work, time.Second)
			defer cancel()
			return l.nodes.Dial(ctx, address)
		},
	}
	l.clients[address] = client
	return client
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
