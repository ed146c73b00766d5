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
	// handResponse bounds an answer of the leader, in bytes.
	handResponse = 8 << 20
)

// leaderClient hands requests to the node that takes changes. It is safe for concurrent use.
type leaderClient struct {
	nodes cluster.Nodes
	work  context.Context // ends with the server
	log   *slog.Logger

	mu     sync.Mutex
	client *fasthttp.HostClient // of the leader that was asked last; nil for none
}

// hand hands a request over and passes the answer on. One that came from another node stays here: that one was mistaken, and asks again.
func (l *leaderClient) hand(c *call) error {
	address, known := l.nodes.Leader()
	if !known || c.connection().IP() == transport.PeerAddress {
		return problem.NoLeader
	}
	request := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(request)
	c.http.Request.Header.CopyTo(&request.Header)
	request.UseHostHeader = true
	request.Header.Del(fasthttp.HeaderExpect)
	request.Header.Set(fasthttp.HeaderXForwardedFor, c.server.proxies.Address(c.Remote()).String())
	request.Header.SetBytesV(headerRequestID, c.id.bytes())
	if c.http.RequestBodyStream() != nil {
		request.SetBodyStream(c.body(), c.http.Request.Header.ContentLength())
	}
	response := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(response)
	if err := l.of(address).DoTimeout(request, response, c.route.timeout+handTimeout); err != nil {
		if cut, is := errors.AsType[*problem.Problem](err); is {
			return cut // the body could not be read
		}
		l.log.Debug("the leader does not answer", "address", address, "error", err)
		return problem.NoLeader
	}
	response.Header.ResetConnectionClose() // it is about the connection with the leader
	response.CopyTo(&c.http.Response)
	return nil
}

// of is who hands requests to the node at an address.
func (l *leaderClient) of(address string) *fasthttp.HostClient {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil && l.client.Addr == address {
		return l.client
	}
	if l.client != nil {
		l.client.CloseIdleConnections()
	}
	l.client = &fasthttp.HostClient{
		Addr: address, MaxConns: handConnections, MaxConnWaitTimeout: time.Second, MaxIdleConnDuration: handIdle, MaxIdemponentCallAttempts: 1,
		MaxResponseBodySize: handResponse, ReadBufferSize: 16 << 10, NoDefaultUserAgentHeader: true, DisablePathNormalizing: true,
		Dial: func(address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(l.work, time.Second)
			defer cancel()
			return l.nodes.Dial(ctx, address)
		},
	}
	return l.client
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
