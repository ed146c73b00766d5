package server

import (
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/query/changes"
	"lastseen/server/limit"
	"lastseen/server/problem"
	"lastseen/server/transport"
)

const (
	// eventsAtOnce is about how many sessions are sent at a time, which bounds the memory of a stream whose client is
	// slow to read; what changes meanwhile is sent once, as it is then.
	eventsAtOnce = 200
	// heartbeat is how often a stream on which nothing happens says that it is there, for the sake of what is between.
	heartbeat = 15 * time.Second

	// When a client comes back whose connection broke, and after a shutdown, over which time the clients spread.
	retryLeast, retrySpread   = 1 * time.Second, 2 * time.Second
	returnLeast, returnSpread = 1 * time.Second, 9 * time.Second
)

// events is the body of an answer that tells what changes while it does. It belongs to one goroutine.
type events struct {
	call     *call
	changes  *changes.Changes
	place    limit.Pass // among those who wait
	sent     int64
	outcome  string
	failed   error
	isClosed bool
}

// errEventsRead is what Read answers.
var errEventsRead = errors.New("events are written, not read")

// streamEvents answers with events until the client goes, may no longer have them, or the service stops.
func streamEvents(c *call, followed *changes.Changes) error {
	if !c.http.Request.Header.IsHTTP11() {
		return problem.HTTP10
	}
	place, err := c.server.waiting.TryEnter(limit.Request{Owner: c.owner(), Weight: 1})
	if err != nil {
		c.server.counts.waits[waitNoPlace].Add(1)
		return err
	}
	c.streams = true
	header := &c.http.Response.Header
	header.SetContentType(typeEvents)
	header.Set(fasthttp.HeaderCacheControl, "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no") // nginx would keep events until there are some kilobytes
	c.http.SetStatusCode(fasthttp.StatusOK)
	c.http.Response.SetBodyStream(&events{call: c, changes: followed, place: place, outcome: waitDeparted}, -1)
	return nil
}

// SupportsBodyWriteTo makes fasthttp call WriteTo instead of Read.
func (e *events) SupportsBodyWriteTo() bool { return true }

// Read is there because a body must be a reader; see SupportsBodyWriteTo.
func (e *events) Read([]byte) (int, error) { return 0, errEventsRead }

// WriteTo sends the events.
func (e *events) WriteTo(w io.Writer) (sent int64, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			e.call.logPanic(fault)
			err = problem.Internal
		}
		sent, e.failed = e.sent, err
	}()
	c := e.call
	out := eventWriter{c.connection().BeginAnswer(c.server.config.WriteTimeout, time.Time{}), w, &e.sent}
	if err := out.retry(retryLeast, retrySpread); err != nil {
		return 0, err
	}
	wait := newWait(c, e.changes.Watch()).withCredential()
	defer wait.stop()
	for quiet := time.Now(); ; {
		told, err := e.tell(out)
		if err != nil {
			return 0, err
		}
		switch e.outcome = wait.next(); {
		case e.outcome == waitStopped:
			return 0, out.retry(returnLeast, returnSpread)
		case e.outcome == waitDeparted:
			return 0, transport.ErrDeparted
		}
		if err := c.stillAllowed(); err != nil {
			e.outcome = waitRefused
			return 0, nil // the client comes back, and is told why it may not
		}
		if told {
			quiet = time.Now()
		} else if time.Since(quiet) >= heartbeat {
			quiet = time.Now()
			if err := out.write([]byte(":\n\n")); err != nil {
				return 0, err
			}
		}
	}
}

var eventBuffers = sync.Pool{New: func() any { return new([]byte) }}

// tell sends what has happened, and reports whether there was anything.
func (e *events) tell(out eventWriter) (told bool, err error) {
	buffer := eventBuffers.Get().(*[]byte)
	defer eventBuffers.Put(buffer)
	for more := true; more; {
		began := time.Now()
		*buffer, more = e.changes.AppendEvents((*buffer)[:0], eventsAtOnce)
		if len(*buffer) == 0 {
			break
		}
		// The credential is checked after the look, so that what is shown is older than the check.
		if e.call.stillAllowed() != nil {
			break // the next wait ends at once
		}
		if err := out.write(*buffer); err != nil {
			return told, err
		}
		told = true
		e.rest(began)
	}
	return told, nil
}

// rest waits until it is the stream's turn again, after it has told something from a time on.
func (e *events) rest(began time.Time) {
	now := time.Now()
	wait := e.call.server.eventPace.Told(now, now.Sub(began))
	if wait == 0 {
		return
	}
	turn := time.NewTimer(wait)
	defer turn.Stop()
	select {
	case <-turn.C:
	case <-e.call.server.stopping:
	}
}

// Close ends the answer. fasthttp calls it when the answer has ended or is not wanted (HEAD).
func (e *events) Close() error {
	if e.isClosed {
		return nil
	}
	e.isClosed = true
	e.changes.Stop()
	e.place.Leave()
	e.call.server.counts.waits[e.outcome].Add(1)
	e.call.streamed(e.sent, e.failed)
	return nil
}

// eventWriter sends pieces of a stream of events.
type eventWriter struct {
	answer *transport.Answer
	to     io.Writer
	sent   *int64
}

// write sends a piece, for which the client has a bounded time.
func (w eventWriter) write(piece []byte) error {
	err := w.answer.Collect(func() error {
		n, err := w.to.Write(piece)
		*w.sent += int64(n)
		return err
	})
	if err == nil {
		err = w.answer.Send()
	}
	if err == transport.ErrStalled {
		err = w.answer.Send()
	}
	return err
}

// retry says when to come back: at a time of which each client gets its own.
func (w eventWriter) retry(least, spread time.Duration) error {
	after := least + rand.N(spread)
	return w.write([]byte("retry: " + strconv.FormatInt(after.Milliseconds(), 10) + "\n\n"))
}
