package server

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// line is the network between a browser and a service, which a test can cut and make slow.
type line struct {
	base  string // the service, as a browser behind the line sees it
	delay atomic.Int64

	listener net.Listener
	mu       sync.Mutex
	target   string
	isCut    bool
	open     map[net.Conn]bool
	relays   sync.WaitGroup
}

// newLine lays a line to the address of a service.
func newLine(tb testing.TB, target string) *line {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &line{base: "http://" + listener.Addr().String(), listener: listener, target: target, open: map[net.Conn]bool{}}
	l.relays.Go(l.accept)
	tb.Cleanup(func() {
		l.cut(true)
		listener.Close()
		l.relays.Wait()
	})
	return l
}

// cut cuts the line, or mends it.
func (l *line) cut(isCut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = isCut
	if isCut {
		for conn := range l.open {
			conn.Close()
		}
	}
}

// slow makes every piece that comes from the service wait.
func (l *line) slow(delay time.Duration) { l.delay.Store(int64(delay)) }

func (l *line) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.target)
		if err != nil || !l.hold(near, far) {
			near.Close()
			continue
		}
		l.relays.Go(func() { l.relay(far, near, false) })
		l.relays.Go(func() { l.relay(near, far, true) })
	}
}

// hold notes two connections, and reports whether the line is whole.
func (l *line) hold(near, far net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		far.Close()
		return false
	}
	l.open[near], l.open[far] = true, true
	return true
}

func (l *line) relay(to, from net.Conn, delayed bool) {
	defer func() {
		to.Close()
		from.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, from)
	}()
	piece := make([]byte, 16<<10)
	for {
		n, err := from.Read(piece)
		if delayed {
			time.Sleep(time.Duration(l.delay.Load()))
		}
		if _, failed := to.Write(piece[:n]); err != nil || failed != nil {
			return
		}
	}
}
