package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lastseen/server/limit"
)

// Why a connection is refused.
var (
	// ErrConnections says that as many connections are open as may.
	ErrConnections = errors.New("as many connections are open as may")
	// ErrNotSecure says that the client does not speak TLS, which it must.
	ErrNotSecure = errors.New("the client does not speak TLS")
	// ErrAddressConnections says that as many are open from one address as may.
	ErrAddressConnections = errors.New("as many connections are open from one address as may")
)

// Options are the limits of a Listener, and what it asks others for.
type Options struct {
	// MaxConnections bounds the open connections in all, and MaxPerAddress those of one address; 0 is no limit for it.
	MaxConnections, MaxPerAddress int
	// Refuse answers a connection past a limit, which is ErrConnections or ErrAddressConnections, within the time that
	// the connection's deadline leaves it. The answer must fit into the socket's buffer, so that nobody waits for the
	// client.
	Refuse func(c net.Conn, why error)
	// TLS is how connections are made secure; nil for not at all. HandshakeTime is how long a client may take for that; 0 is 10 s.
	TLS           *tls.Config
	HandshakeTime time.Duration
	// ExactWrites is for connections on which no write succeeds after one that ran out of time, as those of crypto/tls: the
	// time limit of their writes is moved at once, not when an earlier one has passed.
	ExactWrites bool
	// Direct is the direct way; nil for none.
	Direct *Direct
	// Stopping is closed when a shutdown begins: then no connection pauses any longer.
	Stopping <-chan struct{}
}

// Listener hands out at most a number of connections, in all and to one address; those past it are
// answered and closed. It knows which connections are open, so that a shutdown can wait
// for them and cut those that stay. It is safe for concurrent use.
type Listener struct {
	net.Listener
	options Options

	mu         sync.Mutex
	open       map[*Conn]struct{}
	perAddress map[netip.Prefix]*origin
	empty      chan struct{} // closed when the last connection closes; nil until somebody waits

	refusing chan struct{}  // a place for each that is told with TLS why it is refused
	telling  sync.WaitGroup // those

	refused     atomic.Uint64
	exhaustions atomic.Uint64 // connections that could not be accepted for want of descriptors
	accepted    uint64        // by Accept only
}

// Listen returns a Listener over another, which it owns from then on.
func Listen(inner net.Listener, options Options) *Listener {
	return &Listener{
		Listener: inner, options: options, open: map[*Conn]struct{}{}, perAddress: map[netip.Prefix]*origin{},
		refusing: make(chan struct{}, mostRefusing),
	}
}

// mostRefusing is how many clients are told at the same time, with TLS, why they are refused.
const mostRefusing = 16

// Close stops accepting, and returns when those who are refused have been told, which takes seconds at most.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.telling.Wait()
	return err
}

// Accept returns the next connection that is within the limits.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if l.exhausted(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		l.accepted++
		c := l.Wrap(accepted)
		c.slot = limit.NewHolder(l.accepted)
		if refusal := l.register(c); refusal != nil {
			l.refused.Add(1)
			l.refuse(c, refusal)
			continue
		}
		return c, nil
	}
}

// acceptPause is how long nothing is accepted when the process has no file descriptor left.
const acceptPause = 10 * time.Millisecond

// exhausted reports whether a connection could not be accepted for want of descriptors or memory, which passes,
// and pauses then: fasthttp would end the service.
func (l *Listener) exhausted(err error) bool {
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) && !errors.Is(err, syscall.ENOBUFS) &&
		!errors.Is(err, syscall.ENOMEM) && !errors.Is(err, syscall.ECONNABORTED) {
		return false
	}
	l.exhaustions.Add(1)
	pause := time.NewTimer(acceptPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-l.options.Stopping: // the inner listener is closed then, and says so next
	}
	return true
}

// Wrap makes a connection one of the listener's without counting it against the limits.
func (l *Listener) Wrap(c net.Conn) *Conn {
	wrapped := &Conn{Conn: c, listener: l, address: ClientPrefix(c.RemoteAddr()), ip: ClientAddress(c.RemoteAddr()), origin: new(origin)}
	wrapped.writing.exact = l.options.ExactWrites
	if l.options.TLS != nil {
		wrapped.secure = newSecure(wrapped, l.options.TLS, l.options.HandshakeTime)
	}
	return wrapped
}

func (l *Listener) register(c *Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.options.MaxConnections {
		return ErrConnections
	}
	from := l.perAddress[c.address]
	if from == nil {
		from = c.origin
		l.perAddress[c.address] = from
	}
	if most := l.options.MaxPerAddress; most > 0 && from.open >= most {
		return ErrAddressConnections
	}
	l.open[c] = struct{}{}
	from.open++
	c.origin = from
	return nil
}

func (l *Listener) unregister(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.open[c]; !open {
		return
	}
	delete(l.open, c)
	if c.origin.open--; c.origin.open == 0 {
		delete(l.perAddress, c.address)
	}
	if len(l.open) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// refuseTime is how long a client may take to be told why it is refused.
const refuseTime = time.Second

// refuse has a connection answered that is past a limit. The client is told why if it can be; it is cut off in any case. With
// TLS the telling begins with a handshake, for which nobody else waits: a few are under way, and those past them are just cut.
func (l *Listener) refuse(c *Conn, why error) {
	if c.secure == nil {
		l.tell(c, why)
		return
	}
	select {
	case l.refusing <- struct{}{}:
		c.secure.patience = refuseTime
		l.telling.Go(func() {
			defer func() { <-l.refusing }()
			if c.secure.handshake() != nil {
				c.Conn.Close()
				return
			}
			l.tell(c, why)
		})
	default:
		c.Conn.Close()
	}
}

// tell has a client answered why it is refused, and closes its socket.
func (l *Listener) tell(c *Conn, why error) {
	defer c.Conn.Close()
	if c.SetWriteDeadline(time.Now().Add(refuseTime)) == nil {
		l.options.Refuse(c, why)
	}
	c.secure.bye()
}

// unsecured tells a client with which no handshake was possible, where it has sent a request of plain HTTP.
func (l *Listener) unsecured(socket net.Conn, why error) {
	mistake, is := errors.AsType[tls.RecordHeaderError](why)
	if !is || mistake.Conn == nil || !looksLikeHTTP(mistake.RecordHeader) {
		return
	}
	if socket.SetWriteDeadline(time.Now().Add(refuseTime)) == nil {
		l.options.Refuse(socket, ErrNotSecure)
	}
}

// looksLikeHTTP reports whether what should be the header of a record of TLS is the beginning of a request.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET":
		return true
	}
	return false
}

// Stats says how many connections are open and how many were refused.
func (l *Listener) Stats() limit.Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return limit.Stats{Name: "connections", Capacity: l.options.MaxConnections, InUse: len(l.open), Refused: l.refused.Load()}
}

// Wait returns when no connection is open or when ctx ends.
func (l *Listener) Wait(ctx context.Context) error {
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

// Settle returns when no answer of the direct way is on its way, or when ctx ends. None may begin any more.
func (l *Listener) Settle(ctx context.Context) {
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

// Cut closes every connection as it is. Those who serve them notice when they next read or write.
func (l *Listener) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		c.Conn.Close()
	}
}
