package transport

import (
	"context"
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
	perAddress map[netip.Prefix]int
	empty      chan struct{} // closed when the last connection closes; nil until somebody waits

	refused     atomic.Uint64
	exhaustions atomic.Uint64 // connections that could not be accepted for want of descriptors
	accepted    uint64        // by Accept only
}

// Listen returns a Listener over another, which it owns from then on.
func Listen(inner net.Listener, options Options) *Listener {
	return &Listener{Listener: inner, options: options, open: map[*Conn]struct{}{}, perAddress: map[netip.Prefix]int{}}
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
			l.refuse(accepted, refusal)
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
	return &Conn{Conn: c, listener: l, address: ClientPrefix(c.RemoteAddr()), ip: ClientAddress(c.RemoteAddr())}
}

func (l *Listener) register(c *Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.options.MaxConnections {
		return ErrConnections
	}
	if most := l.options.MaxPerAddress; most > 0 && l.perAddress[c.address] >= most {
		return ErrAddressConnections
	}
	l.open[c] = struct{}{}
	l.perAddress[c.address]++
	return nil
}

func (l *Listener) unregister(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.open[c]; !open {
		return
	}
	delete(l.open, c)
	if l.perAddress[c.address]--; l.perAddress[c.address] == 0 {
		delete(l.perAddress, c.address)
	}
	if len(l.open) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// refuse has a connection answered that is past a limit. The client is told why if it can be; it is cut off in any case.
func (l *Listener) refuse(c net.Conn, why error) {
	defer c.Close()
	l.refused.Add(1)
	if c.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
		l.options.Refuse(c, why)
	}
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
