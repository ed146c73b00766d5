package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// handshakeTime is how long a client may take for the handshake of TLS when nobody says otherwise.
const handshakeTime = 10 * time.Second

// closeTime is how long a client may take to accept the word that the connection ends.
const closeTime = 100 * time.Millisecond

// secure is the TLS of a connection. It lies between the socket and what reads and writes the connection, and only turns bytes
// into others: reads and writes of the socket, their deadlines, stalls and looks at it stay those of the connection, which sends
// what is sealed as it sends any other bytes. So a deadline that is moved while a write waits, or an answer that stalls and goes
// on, is the same with TLS as without, which a tls.Conn over a socket cannot do: after a write that was late it writes nothing.
//
// It belongs to the goroutine that serves the connection.
type secure struct {
	conn     *Conn
	tls      *tls.Conn
	wire     wire
	patience time.Duration // for the handshake
	ready    bool          // the handshake is done
	failed   bool          // it failed, or what was sealed was not sent whole
	ahead    [1]byte       // what pending looked at and read has not returned
	hasAhead bool
}

// wire is the socket as TLS sees it.
type wire struct {
	net.Conn
	sealing bool // what TLS writes is kept in out, for the connection to send
	idle    bool // nothing is to be read
	out     []byte
}

// Read reads from the socket.
func (w *wire) Read(p []byte) (int, error) {
	if w.idle {
		return 0, os.ErrDeadlineExceeded // which TLS takes for something that passes
	}
	return w.Conn.Read(p)
}

// Write keeps what is sealed, or, during the handshake, sends it.
func (w *wire) Write(p []byte) (int, error) {
	if !w.sealing {
		return w.Conn.Write(p)
	}
	w.out = append(w.out, p...)
	return len(p), nil
}

func newSecure(c *Conn, config *tls.Config, patience time.Duration) *secure {
	s := &secure{conn: c, wire: wire{Conn: c.Conn}, patience: patience}
	if s.patience <= 0 {
		s.patience = handshakeTime
	}
	s.tls = tls.Server(&s.wire, config)
	return s
}

// handshake makes the connection a secure one.
func (s *secure) handshake() error {
	c := s.conn
	s.failed = true
	if err := c.Conn.SetDeadline(time.Now().Add(s.patience)); err != nil {
		return err
	}
	if err := s.tls.Handshake(); err != nil {
		return err
	}
	s.failed, s.ready, s.wire.sealing = false, true, true
	return errors.Join(c.reading.rearm(c.Conn.SetReadDeadline), c.writing.rearm(c.Conn.SetWriteDeadline))
}

// read reads what has arrived, after the handshake where there was none. A client with which no handshake was possible counts as
// one that has closed the connection.
func (s *secure) read(p []byte) (n int, err error) {
	if !s.ready {
		if s.failed {
			return 0, io.EOF
		}
		if err := s.handshake(); err != nil {
			s.conn.listener.unsecured(s.conn.Conn, err)
			return 0, io.EOF
		}
	}
	if s.hasAhead && len(p) > 0 {
		s.hasAhead = false
		p[0] = s.ahead[0]
		return 1, nil
	}
	return s.tls.Read(p)
}

// pending reports whether something was taken from the socket and not read. It may be called on nil.
func (s *secure) pending() bool {
	if s == nil || !s.ready || s.hasAhead {
		return s != nil && s.hasAhead
	}
	s.wire.idle = true
	n, _ := s.tls.Read(s.ahead[:])
	s.wire.idle = false
	s.hasAhead = n > 0
	return s.hasAhead
}

// sealed are buffers of answers that are longer than a poll's.
var sealed = sync.Pool{New: func() any { return new(make([]byte, 0, 64<<10)) }}

// seal returns what stands for some parts on the socket, until release.
func (s *secure) seal(parts ...[]byte) ([]byte, error) {
	if !s.ready || s.failed {
		return nil, net.ErrClosed
	}
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if size > ShortPart && cap(s.wire.out) <= ShortPart {
		s.wire.out = append((*sealed.Get().(*[]byte))[:0], s.wire.out...)
	}
	for _, part := range parts {
		if len(part) == 0 {
			continue
		}
		if _, err := s.tls.Write(part); err != nil {
			return nil, err
		}
	}
	// What is written while it is sent would come behind it.
	s.failed = true
	return s.wire.out, nil
}

// release says that all of what seal has returned was sent.
func (s *secure) release() {
	s.failed = false
	if out := s.wire.out[:0]; cap(out) <= 2*ShortPart {
		s.wire.out = out
	} else {
		s.wire.out = nil
		sealed.Put(&out)
	}
}

// bye tells the client that nothing comes any more, unless it is in the middle of something. It may be called on nil.
func (s *secure) bye() {
	if s == nil || !s.ready || s.failed || s.tls.CloseWrite() != nil {
		return
	}
	if s.conn.Conn.SetWriteDeadline(time.Now().Add(closeTime)) == nil {
		_, _ = s.conn.Conn.Write(s.wire.out) // the connection ends in any case
	}
}
