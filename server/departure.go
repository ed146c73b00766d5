package server

import (
	"context"
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// departurePeriod is how often a call whose answer takes long looks whether its client is still there.
const departurePeriod = 250 * time.Millisecond

// errDeparted is why the work of a call ends whose client has closed its end of the connection.
var errDeparted = errors.New("the client has gone")

// problemDeparted is for the log and the metrics; nobody reads the answer. The status is what nginx
// logs in the same case.
var problemDeparted = &problem{status: 499, detail: "You have closed the connection; keep it open until the answer is complete."}

// departureWatch ends a call's work within a second after its client has gone, also while the call
// waits for ClickHouse and would write nothing for a long time. A client that closes only its sending
// half counts as gone, as it does for most servers.
type departureWatch struct {
	stop, done chan struct{}
}

// watchDeparture makes the call's context end with errDeparted when the client goes away. The call's
// end stops the watch and waits for it.
func (c *call) watchDeparture() {
	work, cancel := context.WithCancelCause(c.context())
	c.work = work
	w := &departureWatch{stop: make(chan struct{}), done: make(chan struct{})}
	c.departure = w
	go w.run(c.http, cancel)
}

func (w *departureWatch) run(ctx *fasthttp.RequestCtx, cancel context.CancelCauseFunc) {
	defer close(w.done)
	defer cancel(nil)
	connection := ctx.Conn()
	tick := time.NewTicker(departurePeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if departed(connection) {
				cancel(errDeparted)
				return
			}
		case <-w.stop:
			return
		}
	}
}

// end stops the watch; nothing of it runs afterwards.
func (w *departureWatch) end() {
	if w != nil {
		close(w.stop)
		<-w.done
	}
}
