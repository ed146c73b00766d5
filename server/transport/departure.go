package transport

import (
	"context"
	"errors"
	"net"
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
// write nothing for a long time.
type Departure struct {
	stop, done chan struct{}
}

// WatchDeparture returns a context that ends with ErrDeparted when the client of a connection goes away. The caller must
// Stop the watch.
func WatchDeparture(work context.Context, c net.Conn) (context.Context, *Departure) {
	work, cancel := context.WithCancelCause(work)
	w := &Departure{stop: make(chan struct{}), done: make(chan struct{})}
	go w.run(c, cancel)
	return work, w
}

func (w *Departure) run(c net.Conn, cancel context.CancelCauseFunc) {
	defer close(w.done)
	defer cancel(nil)
	tick := time.NewTicker(DeparturePeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if departed(c) {
				cancel(ErrDeparted)
				return
			}
		case <-w.stop:
			return
		}
	}
}

// Stop ends the watch; nothing of it runs afterwards. It may be called on nil.
func (w *Departure) Stop() {
	if w != nil {
		close(w.stop)
		<-w.done
	}
}
