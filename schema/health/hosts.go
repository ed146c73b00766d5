package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Silence is how long a host may leave a sign of life unanswered, and send nothing else either, before it is
// taken to be out of reach.
const Silence = 3 * time.Second

// Hosts dials the hosts of ClickHouse over HTTP and keeps track of their connections. A host that has gone
// silent without closing them, because its process is stopped or its machine is gone, would hold every
// statement until its time is up; instead its connections are ended, and it is not dialled until it
// answers again. It is safe for concurrent use.
type Hosts struct {
	hosts  []*host
	scheme string
	pings  *http.Client
	wanted chan struct{} // has room for one
}

// programStart is what elapsed counts from.
var programStart = time.Now()

// elapsed is the time since then, nanoseconds, by a clock that nobody sets.
func elapsed() int64 { return int64(time.Since(programStart)) }

// host is one of them.
type host struct {
	address  string
	lastByte atomic.Int64 // when it last sent anything, by elapsed

	mu   sync.Mutex
	out  error // why it is out of reach; nil while it is not
	open map[*conn]struct{}
}

// NewHosts returns the hosts with addresses, HOST:PORT each, which are reached with TLS where a configuration
// for it is given.
func NewHosts(addresses []string, secure *tls.Config) *Hosts {
	h := &Hosts{scheme: "http", wanted: make(chan struct{}, 1), pings: &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: secure, MaxIdleConnsPerHost: 1},
	}}
	if secure != nil {
		h.scheme = "https"
	}
	for _, address := range addresses {
		h.hosts = append(h.hosts, &host{address: address, open: make(map[*conn]struct{})})
	}
	return h
}

var dialer = &net.Dialer{Timeout: Silence}

// DialError is the error of a statement that was never sent, because no connection could be made.
type DialError struct{ Err error }

// Error returns what the cause says.
func (e *DialError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// NotSent reports whether an error is that of a statement that ClickHouse has never seen.
func NotSent(err error) bool {
	_, is := errors.AsType[*DialError](err)
	return is
}

// Dial connects to an address. Its errors are a *DialError; that of a host which is out of reach comes at
// once.
func (h *Hosts) Dial(ctx context.Context, address string) (net.Conn, error) {
	host := h.find(address)
	if host == nil { // a proxy's
		inner, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, &DialError{err}
		}
		return inner, nil
	}
	if out := host.outOfReach(); out != nil {
		return nil, &DialError{out}
	}
	inner, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &DialError{err}
	}
	c := &conn{Conn: inner, host: host}
	host.mu.Lock()
	defer host.mu.Unlock()
	host.open[c] = struct{}{}
	return c, nil
}

func (h *Hosts) find(address string) *host {
	for _, host := range h.hosts {
		if host.address == address {
			return host
		}
	}
	return nil
}

// watch asks the hosts for signs of life until ctx ends, more often while one of them is out of reach or
// a look is asked for, and calls changed when whether any is within reach has changed.
func (h *Hosts) watch(ctx context.Context, changed func()) {
	timer := time.NewTimer(calm)
	defer timer.Stop()
	defer h.pings.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wanted:
		case <-timer.C:
		}
		before := h.outOfReach() != nil
		all := h.check(ctx)
		if now := h.outOfReach() != nil; now != before {
			changed()
		}
		if !rest(ctx, troubled) {
			return
		}
		if all {
			timer.Reset(calm)
		} else {
			timer.Reset(0)
		}
	}
}

// look makes watch ask the hosts soon.
func (h *Hosts) look() {
	select {
	case h.wanted <- struct{}{}:
	default:
	}
}

// outOfReach returns why no host is within reach, nil when one is.
func (h *Hosts) outOfReach() (all error) {
	for _, host := range h.hosts {
		out := host.outOfReach()
		if out == nil {
			return nil
		}
		all = errors.Join(all, out)
	}
	return all
}

// check asks every host for a sign of life, and reports whether all gave one.
func (h *Hosts) check(ctx context.Context) (all bool) {
	var asking sync.WaitGroup
	var failed atomic.Bool
	for _, host := range h.hosts {
		asking.Go(func() {
			err := h.ask(ctx, host)
			if ctx.Err() == nil {
				host.settle(err)
			}
			if err != nil {
				failed.Store(true)
			}
		})
	}
	asking.Wait()
	return !failed.Load()
}

// ask asks one host. Any answer will do, also one that it has no such page: a proxy may stand before it.
func (h *Hosts) ask(ctx context.Context, host *host) error {
	ctx, cancel := context.WithTimeout(ctx, Silence)
	defer cancel()
	began := elapsed()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.scheme+"://"+host.address+"/ping", nil)
	if err != nil {
		return fmt.Errorf("reach ClickHouse at %s: %w", host.address, err)
	}
	response, err := h.pings.Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 4<<10))
		err = errors.Join(err, response.Body.Close())
	}
	if failed, is := errors.AsType[*url.Error](err); is {
		err = failed.Err // the address is said anyway
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded) && host.lastByte.Load() > began:
		return nil // it is busy with our statements, and answers them
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("it has not answered for %s", Silence)
	}
	return fmt.Errorf("reach ClickHouse at %s: %w", host.address, err)
}

func (h *host) outOfReach() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.out
}

// settle notes that the host is out of reach, or with nil that it is not.
func (h *host) settle(out error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.out = out
	if out == nil {
		return
	}
	for c := range h.open {
		c.cut.Store(true)
		_ = c.Conn.Close() // who uses it learns of it
	}
	clear(h.open)
}

// conn is a connection to a host.
type conn struct {
	net.Conn
	host *host
	cut  atomic.Bool // by settle
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.host.lastByte.Store(elapsed())
	}
	return n, c.explain(err)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.explain(err)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.host.mu.Lock()
	delete(c.host.open, c)
	c.host.mu.Unlock()
	return c.Conn.Close()
}

// explain says why a connection has ended that settle has ended.
func (c *conn) explain(err error) error {
	if err != nil && c.cut.Load() {
		return errCut
	}
	return err
}

var errCut = errors.New("ClickHouse has gone silent, and the connection was given up")
