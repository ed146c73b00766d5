package peer

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// maxConnections bounds those that others have made for messages, or that have not shown who they are yet. Those for
// requests are counted by who serves them.
const maxConnections = 256

// accept takes connections until the listener is closed.
func (p *Peers) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, say: others will end.
			select {
			case <-time.After(longestPause):
				continue
			case <-p.running.Done():
				return
			}
		}
		select {
		case p.places <- struct{}{}:
			p.serving.Go(func() { p.serve(conn) })
		default:
			_ = conn.Close()
		}
	}
}

// serve finds out what a connection is for.
func (p *Peers) serve(raw net.Conn) {
	release := func() { <-p.places }
	ctx, cancel := context.WithTimeout(p.running, knownWithin)
	defer cancel()
	conn := tls.Server(raw, p.config.Identity.config(protocolMessages, protocolRequests, protocolStatus))
	from := raw.RemoteAddr().String()
	err := conn.HandshakeContext(ctx)
	if err == nil {
		err = p.config.Identity.check(conn.ConnectionState(), from)
	}
	if err == nil && conn.ConnectionState().NegotiatedProtocol == protocolRequests {
		release()
		p.requests.offer(conn)
		return
	}
	defer release()
	defer conn.Close()
	switch {
	case err != nil:
	case conn.ConnectionState().NegotiatedProtocol == protocolStatus:
		err = p.say(conn)
	default:
		err = p.listen(conn, from)
	}
	if err != nil && p.running.Err() == nil {
		p.complain(from, err)
	}
}

// listen takes the messages of a connection.
func (p *Peers) listen(conn net.Conn, from string) error {
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	other, err := readHello(conn)
	if err != nil {
		return nil // it has gone again: a probe, or who dials has found another key
	}
	own := p.hello()
	place, refused := p.admit(own, other, from)
	if refused != nil {
		own.Refused = refused.theirs
		return errors.Join(writeHello(conn, own), refused)
	}
	defer place.leave()
	if err := writeHello(conn, own); err != nil {
		return nil // it has gone again
	}
	stop := context.AfterFunc(p.running, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	in := bufio.NewReaderSize(conn, 64<<10)
	for p.running.Err() == nil {
		if err := conn.SetReadDeadline(time.Now().Add(aliveWithin)); err != nil {
			return err
		}
		frame, err := readFrame(in, MaxFrame)
		if err != nil {
			if errors.Is(err, errFrameTooLong) {
				return fmt.Errorf("the node at %s: %w", other.Address, err)
			}
			return nil // it has ended, and will come again
		}
		place.alive(p.since())
		if len(frame) == 0 {
			continue
		}
		p.received.Add(1)
		if err := p.config.Receive(frame); err != nil {
			return fmt.Errorf("a message of the node at %s: %w", other.Address, err)
		}
	}
	return nil
}

// refusal says why a node is not spoken to, to either side.
type refusal struct{ ours, theirs string }

// Error says it to this one.
func (r *refusal) Error() string { return r.ours }

// admit takes a node that has said who it is.
func (p *Peers) admit(own, other hello, from string) (*incarnation, *refusal) {
	if err := own.refuses(other, cmp.Or(other.Address, from)); err != nil {
		theirs := other.refuses(own, own.Address)
		return nil, &refusal{err.Error(), theirs.Error()}
	}
	place, err := p.incarnations.take(other.Node, p.since())
	if err != nil {
		return nil, &refusal{err.Error(), err.Error()}
	}
	return place, nil
}

// handed is a listener of connections that have been taken elsewhere.
type handed struct {
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
	address net.Addr
}

// offer hands a connection over, or closes it where nobody takes it.
func (h *handed) offer(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.closed:
		_ = conn.Close()
	}
}

// Accept implements net.Listener.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *handed) Addr() net.Addr { return h.address }
