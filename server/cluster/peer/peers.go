package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// maxLinks bounds the addresses to which messages are sent.
const maxLinks = 64

// Config says who this node is and what becomes of what it is sent.
type Config struct {
	Identity *Identity
	// Self is this node. Its address is where it listens, unless that is empty.
	Self Node
	// Oldest and Newest are the versions of the messages that this node speaks.
	Oldest, Newest int
	// Store tells the database from others; nodes that use another one are refused.
	Store string
	// Build is the version of lastseen, for people.
	Build string
	// Receive gets each message, of which it may keep the bytes. It does not block. After an error the connection is ended with that
	// sentence in the log.
	Receive func(frame []byte) error
	// Status returns what the node says of itself to other nodes that ask. It does not block. Nil says nothing.
	Status func() []byte
	// Log gets which nodes are connected, and why others are not, once each.
	Log *slog.Logger
}

// Peers are this node's connections with the others. It is safe for concurrent use.
type Peers struct {
	config   Config
	listener net.Listener
	requests *handed
	began    time.Time
	running  context.Context
	stop     context.CancelFunc
	serving  sync.WaitGroup // every goroutine
	places   chan struct{}  // of connections that others have made

	incarnations incarnations
	received     atomic.Uint64

	mu         sync.Mutex
	links      map[string]*link
	complaints map[string]time.Time // by sentence, when it was logged
}

// Listen listens for peers at an address, HOST:PORT, and is ready to send.
func Listen(ctx context.Context, address string, config Config) (*Peers, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the address %s is taken: stop what listens on it, or choose another one with --peer-addr", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s (--peer-addr is HOST:PORT): %w", address, err)
	}
	if config.Self.Address == "" {
		config.Self.Address = listener.Addr().String()
	}
	p := &Peers{
		config: config, listener: listener, began: time.Now(), places: make(chan struct{}, maxConnections),
		requests:     &handed{conns: make(chan net.Conn), closed: make(chan struct{}), address: listener.Addr()},
		incarnations: incarnations{known: map[string]*incarnation{}}, links: map[string]*link{}, complaints: map[string]time.Time{},
	}
	p.running, p.stop = context.WithCancel(context.Background())
	p.serving.Go(p.accept)
	return p, nil
}

// Self is this node, with the address at which others reach it.
func (p *Peers) Self() Node { return p.config.Self }

// Requests are the connections over which other nodes hand HTTP requests to this one.
func (p *Peers) Requests() net.Listener { return p.requests }

// Dial makes a connection over which HTTP requests are handed to another node.
func (p *Peers) Dial(ctx context.Context, address string) (net.Conn, error) {
	return p.dial(ctx, address, protocolRequests)
}

// Send queues a message for the node at an address, or drops it where the queue is full. The frame belongs to Peers from then on.
func (p *Peers) Send(address string, frame []byte) {
	if l := p.link(address); l != nil {
		l.send(frame, p.since())
	}
}

// Version returns the newest version of the messages that this node and the one at an address speak; 0 while they are not connected.
func (p *Peers) Version(address string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.links[address]; l != nil {
		return int(l.version.Load())
	}
	return 0
}

// link returns the one to an address, which runs; nil where there is no room for another one.
func (p *Peers) link(address string) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.links[address]; l != nil {
		return l
	}
	if len(p.links) >= maxLinks || p.running.Err() != nil {
		return nil
	}
	l := &link{peers: p, address: address, queue: make(chan []byte, queuedFrames)}
	l.lastSend.Store(int64(p.since()))
	p.links[address] = l
	p.serving.Go(func() {
		l.run(p.running)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, address)
	})
	return l
}

// Stats are the counts of what was sent to one node.
type Stats struct {
	Address   string
	Connected bool
	Sent      uint64 // messages
	Dropped   uint64 // messages for which there was no room or no connection
	Trouble   string // why it is not connected; empty where it is, or was not tried yet
}

// Stats returns the counts of each node to which messages are sent, by address, and how many messages were received in all.
func (p *Peers) Stats() (stats []Stats, received uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		s := Stats{Address: l.address, Connected: l.version.Load() != 0, Sent: l.sent.Load(), Dropped: l.dropped.Load()}
		if trouble := l.trouble.Load(); trouble != nil {
			s.Trouble = *trouble
		}
		stats = append(stats, s)
	}
	slices.SortFunc(stats, func(a, b Stats) int { return strings.Compare(a.Address, b.Address) })
	return stats, p.received.Load()
}

// Close ends every connection, and waits for what served them. Requests that were handed over are their server's.
func (p *Peers) Close() error {
	p.stop()
	err := errors.Join(p.requests.Close(), p.listener.Close())
	p.serving.Wait()
	return err
}

// since is how long there have been Peers.
func (p *Peers) since() time.Duration { return time.Since(p.began) }

func (p *Peers) hello() hello {
	return hello{Node: p.config.Self, Oldest: p.config.Oldest, Newest: p.config.Newest, Build: p.config.Build, Store: p.config.Store}
}

// complainEvery is how often the same is logged of who connects.
const complainEvery = time.Minute

// complain logs why a connection was refused, now and then.
func (p *Peers) complain(from string, err error) {
	text := err.Error()
	host, _, _ := net.SplitHostPort(from)
	key := host + " " + strings.ReplaceAll(text, from, "")
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, said := p.complaints[key]; said && time.Since(last) < complainEvery || len(p.complaints) > maxLinks && !said {
		return
	}
	p.complaints[key] = time.Now()
	p.config.Log.Warn("refused a node", "from", from, "error", text)
}
