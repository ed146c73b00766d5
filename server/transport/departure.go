package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// DeparturePeriod is how often a Departure looks whether the client is still there.
const DeparturePeriod = 250 * time.Millisecond

// ErrDeparted is why work ends whose client has closed its end of the connection.
var ErrDeparted = errors.New("the client has gone")

// Departed reports whether the client has closed its end of a connection. A client that closes only its sending half
// counts as gone, as it does for most servers.
func Departed(c net.Conn) bool { return departed(c) }

// Departure ends work within a second after its client has gone, also while the work waits for ClickHouse and would
// write nothing for a long time. Work that ends before the first look costs a timer and no goroutine.
type Departure struct {
	conn   net.Conn
	cancel context.CancelCauseFunc

	mu    sync.Mutex // held by a look and by Stop, so that no look runs once it has returned
	next  *time.Timer
	ended bool
}

// WatchDeparture returns a context that ends with ErrDeparted when the client of a connection goes away. The caller must
// Stop the watch.
func WatchDeparture(work context.Context, c net.Conn) (context.Context, *Departure) {
	work, cancel := context.WithCancelCause(work)
	w := &Departure{conn: c, cancel: cancel}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = time.AfterFunc(DeparturePeriod, w.look)
	return work, w
}

// look ends the work if the client has gone, and otherwise looks again later.
func (w *Departure) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
	case departed(w.conn):
		w.cancel(ErrDeparted)
	default:
		w.next.Reset(DeparturePeriod)
	}
}

// Stop ends the watch and its context; nothing of it runs afterwards. It may be called on nil.
func (w *Departure) Stop() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.next.Stop()
	w.cancel(nil)
}
