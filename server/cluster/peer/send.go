package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// queuedFrames and queuedBytes bound what waits for one peer.
	queuedFrames = 1024
	queuedBytes  = 2 * MaxFrame

	dialTimeout  = time.Second     // for a connection, its handshake and the hellos
	knownWithin  = 3 * time.Second // for the handshake of one that another node makes, for whom it need not be as urgent
	writeTimeout = 2 * time.Second // for one write
	// aliveEvery is how often a side that has nothing to send says that it lives, aliveWithin how long the other one waits for it.
	aliveEvery, aliveWithin = time.Second, 5 * time.Second
	// firstPause and longestPause are between two attempts to connect.
	firstPause, longestPause = 20 * time.Millisecond, time.Second
	// forgetAfter is how long a peer to which nothing is sent stays connected.
	forgetAfter = time.Minute
)

// link sends messages to one address.
type link struct {
	peers    *Peers
	address  string
	queue    chan []byte
	bytes    atomic.Int64 // in the queue
	sent     atomic.Uint64
	dropped  atomic.Uint64
	version  atomic.Int32           // of the messages, that both sides speak; 0 while it is not connected
	trouble  atomic.Pointer[string] // why it is not connected; nil where it is, or was not tried yet
	lastSend atomic.Int64           // since the Peers began, nanoseconds
}

// send queues a frame or drops it.
func (l *link) send(frame []byte, now time.Duration) {
	l.lastSend.Store(int64(now))
	if l.bytes.Add(int64(len(frame))) > queuedBytes {
		l.bytes.Add(-int64(len(frame)))
		l.dropped.Add(1)
		return
	}
	select {
	case l.queue <- frame:
	default:
		l.bytes.Add(-int64(len(frame)))
		l.dropped.Add(1)
	}
}

// drain drops what waits.
func (l *link) drain() {
	for {
		select {
		case frame := <-l.queue:
			l.bytes.Add(-int64(len(frame)))
			l.dropped.Add(1)
		default:
			return
		}
	}
}

// run connects and sends until ctx ends or nothing has been sent for long.
func (l *link) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil && !l.forgotten() {
		conn, err := l.connect(ctx)
		if err == nil {
			pause = firstPause
			l.said(nil)
			err = l.stream(ctx, conn)
			l.version.Store(0)
		}
		l.said(err)
		l.drain()
		select {
		case <-time.After(pause):
			pause = min(2*pause, longestPause)
		case <-ctx.Done():
		}
	}
}

func (l *link) forgotten() bool {
	return l.peers.since()-time.Duration(l.lastSend.Load()) > forgetAfter
}

// said notes what the connection is like, and logs it where that is news.
func (l *link) said(err error) {
	if err == nil {
		l.trouble.Store(nil)
		l.peers.config.Log.Info("connected to a node", "address", l.address)
		return
	}
	if l.peers.running.Err() != nil || errors.Is(err, errIdle) {
		return
	}
	text := err.Error()
	if before := l.trouble.Swap(&text); before == nil || *before != text {
		l.peers.config.Log.Warn("not connected to a node", "address", l.address, "error", text)
	}
}

// connect makes a connection for messages.
func (l *link) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := l.peers.dial(ctx, l.address, protocolMessages)
	if err != nil {
		return nil, err
	}
	if err := l.greet(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// greet exchanges hellos.
func (l *link) greet(conn net.Conn) error {
	own := l.peers.hello()
	other, err := exchangeHellos(conn, own, l.address)
	if err != nil {
		return err
	}
	if other.Refused != "" {
		return fmt.Errorf("the node at %s refuses this one: %s", l.address, other.Refused)
	}
	if other.isSame(own.Node) {
		return fmt.Errorf("at %s, where another node should be, this one answers itself: give each node a --peer-addr of its own at which all others reach it", l.address)
	}
	if err := own.refuses(other, l.address); err != nil {
		return err
	}
	l.version.Store(int32(min(own.Newest, other.Newest)))
	return nil
}

// exchangeHellos says who this node is on a connection that it has made to an address, and returns what the other side says.
func exchangeHellos(conn net.Conn, own hello, address string) (other hello, err error) {
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return hello{}, err
	}
	if err := writeHello(conn, own); err != nil {
		return hello{}, fmt.Errorf("greet the node at %s: %w", address, withoutPorts(err))
	}
	other, err = readHello(conn)
	if err != nil {
		return hello{}, fmt.Errorf("the node at %s does not return a greeting: %w", address, withoutPorts(err))
	}
	return other, nil
}

// errIdle ends a connection that nobody needs.
var errIdle = errors.New("nothing was sent for a while")

// stream sends what comes until something fails. It closes the connection.
func (l *link) stream(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	defer conn.Close() // why it ended is known by then
	gone := l.watch(conn)
	defer gone.wait()
	out := bufio.NewWriterSize(conn, 64<<10)
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		var frame []byte
		select {
		case frame = <-l.queue:
			l.bytes.Add(-int64(len(frame)))
		case <-alive.C:
			if l.forgotten() {
				return errIdle
			}
		case <-gone.ended:
			return fmt.Errorf("the node at %s has ended the connection", l.address)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if err := writeFrame(out, frame); err != nil {
			return fmt.Errorf("send to the node at %s: %w", l.address, withoutPorts(err))
		}
		if len(l.queue) == 0 {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("send to the node at %s: %w", l.address, withoutPorts(err))
			}
		}
		if frame != nil {
			l.sent.Add(1)
		}
	}
}

// reading is a goroutine that reads a connection on which nothing comes, to find out that it has ended.
type reading struct {
	conn  net.Conn
	ended chan struct{}
	done  sync.WaitGroup
}

func (l *link) watch(conn net.Conn) *reading {
	r := &reading{conn: conn, ended: make(chan struct{})}
	_ = conn.SetReadDeadline(time.Time{})
	r.done.Go(func() {
		defer close(r.ended)
		_, _ = conn.Read(make([]byte, 1))
	})
	return r
}

// wait ends the goroutine.
func (r *reading) wait() {
	_ = r.conn.SetReadDeadline(time.Unix(1, 0))
	r.done.Wait()
}

// withoutPorts is what is wrong with a connection without the two addresses of it, one of which is another one with each attempt: what is
// the same each time is logged once.
func withoutPorts(err error) error {
	if failed, is := errors.AsType[*net.OpError](err); is && failed.Source != nil {
		return failed.Err
	}
	return err
}

// dial makes a connection for a protocol to a node with the same key.
func (p *Peers) dial(ctx context.Context, address, protocol string) (*tls.Conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("reach the node at %s: %w", address, err)
	}
	conn := tls.Client(raw, p.config.Identity.config(protocol))
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("what listens at %s is no node of lastseen: %w", address, withoutPorts(err)), raw.Close())
	}
	if err := p.config.Identity.check(conn.ConnectionState(), address); err != nil {
		// What it has to say goes out before the end.
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
