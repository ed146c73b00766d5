package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/server/problem"
	"lastseen/server/transport"
)

// inTouch returns nil when this node may answer the request from what it knows. It comes before anything is looked up for the request,
// its credential too.
func (c *call) inTouch() error {
	nodes := c.server.services.Nodes
	if nodes == nil || c.route.anywhere {
		return nil
	}
	return nodes.Enter(c.server.work)
}

// isForLeader reports whether another node must handle the request, which this one has let in.
func (c *call) isForLeader() bool {
	nodes := c.server.services.Nodes
	return nodes != nil && c.route.changes() && !nodes.Leads()
}

const (
	// handTimeout is how much longer than the route's work an answer of the leader may take.
	handTimeout = 5 * time.Second
	// handConnections bounds the requests that are with the leader at a time, and handIdle how long a connection is kept.
	handConnections, handIdle = 1024, 5 * time.Second
	// handResponse bounds an answer of the leader, in bytes.
	handResponse = 8 << 20
)

// handToLeader hands the request to the node that takes changes and passes its answer on. One that came from another node stays here: that
// one was mistaken, and asks again.
func (c *call) handToLeader() error {
	address, known := c.server.services.Nodes.Leader()
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
	err := c.server.clientOf(address).DoTimeout(request, response, c.route.timeout+handTimeout)
	if err != nil {
		if cut, is := errors.AsType[*problem.Problem](err); is {
			return cut // the body could not be read
		}
		c.server.config.Logger.Debug("the leader does not answer", "address", address, "error", err)
		return problem.NoLeader
	}
	response.Header.ResetConnectionClose() // it is about the connection with the leader
	response.CopyTo(&c.http.Response)
	return nil
}

// clientOf is who hands requests to the node at an address.
func (s *Server) clientOf(address string) *fasthttp.HostClient {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leader == nil || s.leader.Addr != address {
		if s.leader != nil {
			s.leader.CloseIdleConnections()
		}
		s.leader = &fasthttp.HostClient{
			Addr: address, MaxConns: handConnections, MaxConnWaitTimeout: time.Second, MaxIdleConnDuration: handIdle, MaxIdemponentCallAttempts: 1,
			MaxResponseBodySize: handResponse, ReadBufferSize: 16 << 10, NoDefaultUserAgentHeader: true, DisablePathNormalizing: true,
			Dial: func(address string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(s.work, time.Second)
				defer cancel()
				return s.services.Nodes.Dial(ctx, address)
			},
		}
	}
	return s.leader
}

// ServePeers answers the requests that other nodes hand over, on a listener of their connections, which it closes, until Shutdown.
func (s *Server) ServePeers(inner net.Listener) error {
	s.mu.Lock()
	s.peers = transport.Listen(peerListener{inner}, transport.Options{MaxConnections: 16 * handConnections, Refuse: s.refuseConnection, Stopping: s.stopping})
	peers := s.peers
	s.mu.Unlock()
	if err := s.http.Serve(peers); err != nil {
		return fmt.Errorf("serve the other nodes: %w", err)
	}
	return nil
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
