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

// handTimeout is how much longer than the route's work an answer of the leader may take.
const handTimeout = 5 * time.Second

// nodeClients hand requests to other nodes, most of them to the one that takes changes. They are safe for concurrent use.
type nodeClients struct {
	nodes cluster.Nodes
	work  context.Context // ends with the server
	log   *slog.Logger

	mu      sync.Mutex
	clients map[handFor]*nodeClient // of members, and for a moment of who was one
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
	err := l.handTo(c, handFor{address: address}, c.route.timeout)
	if errors.Is(err, errNoOther) {
		return problem.NoLeader
	}
	return err
}

// fromNode reports whether another node hands the request over.
func fromNode(c *call) bool { return c.connection().IP() == transport.PeerAddress }

// handTo hands a request to another node, which may work on it for a time. It fails with errNoOther where that does not answer.
func (l *nodeClients) handTo(c *call, to handFor, timeout time.Duration) error {
	request := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(request)
	c.http.Request.Header.CopyTo(&request.Header)
	request.UseHostHeader = true
	request.Header.Del(fasthttp.HeaderExpect)
	request.Header.Set(fasthttp.HeaderXForwardedFor, c.server.proxies.Address(c.Remote()).String())
	request.Header.SetBytesV(headerRequestID, c.id.bytes())
	free, err := handBody(c, request)
	if err != nil {
		return err
	}
	defer free()
	response := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(response)
	if err := l.of(to).DoTimeout(request, response, timeout+handTimeout); err != nil {
		if cut, is := errors.AsType[*problem.Problem](err); is {
			return cut // the body could not be read
		}
		l.log.Debug("another node does not answer", "address", to.address, "error", err)
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
		for to, client := range l.clients {
			if !l.nodes.Member(to.address) {
				client.end()
				delete(l.clients, to)
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
