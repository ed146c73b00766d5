package server

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/schema/measure"
)

const (
	pulsePeriod = 10 * time.Millisecond
	// shedWindow and the target are those of CoDel (RFC 8289): a queue is too long when even the shortest
	// wait in it was, over a window. What passes by itself, such as a burst or a machine that stood still
	// for a moment, has ended by the second window.
	shedWindow  = 100 * time.Millisecond
	shedWindows = 2
	// shedHold is how long a connection whose poll was refused is not read at most, which is what its Retry-After
	// asks for; at least half of it, so that those who were refused together do not come back together.
	shedHold = time.Second
	// shedMemory is how long the impatient are held again after the queue was last too long.
	shedMemory = 2 * time.Second
)

// shedder refuses polls while polls wait too long for their turn. A poll costs as much to refuse as to answer,
// nearly all of it in the kernel, so refusing alone would not help: a connection that is refused is also not
// read for a second, and refused again if its client did not wait. What is left are as many connections as can
// be answered in time, by Little's law: the wait is proportional to how many connections poll.
//
// How long polls wait cannot be seen on the polls, whose wait is over when we first hear of them. It is
// measured on a pulse, a byte in a pipe that waits for its turn with the network poller as a request does.
type shedder struct {
	target time.Duration // 0: polls are never refused

	window  atomic.Uint32   // its number, by which each connection is counted once in it
	polling measure.Counter // connections, once for every window in which they polled
	quota   atomic.Int64    // connections to refuse before the window ends
	active  atomic.Bool     // who is refused is held
	delay   atomic.Int64    // the shortest wait of the last window, nanoseconds
}

var problemOverload = &problem{status: fasthttp.StatusServiceUnavailable, reason: reasonOverload, retryAfter: int(shedHold / time.Second),
	detail: "The service is asked for more polls than it can answer in time; wait as many seconds as Retry-After says, and poll less often or over fewer connections."}

// saw notes that a connection polls.
func (s *shedder) saw(c *conn) {
	if window := s.window.Load(); c.window != window {
		c.window = window
		s.polling.Add(1)
	}
}

// calm reports that no poll of a connection is to be refused now.
func (s *shedder) calm(c *conn) bool {
	return !c.impatient && s.quota.Load() <= 0
}

// refuses decides about a poll. One that was sent while its connection was held has waited too long already.
func (s *shedder) refuses(c *conn) bool {
	return c.impatient || s.quota.Load() > 0 && s.quota.Add(-1) >= 0
}

// shed refuses a poll when too many wait.
func (c *call) shed() error {
	connection, ours := c.http.Conn().(*conn)
	shedder := &c.server.shedder
	if !ours || shedder.target == 0 {
		return nil
	}
	shedder.saw(connection)
	if !shedder.refuses(connection) {
		return nil
	}
	if shedder.active.Load() {
		c.holdConnection()
	}
	return problemOverload
}

// holdConnection makes the connection wait after this call's answer, a refusal. One that a proxy shares among
// clients is not held.
func (c *call) holdConnection() {
	if connection, ours := c.http.Conn().(*conn); ours && len(c.http.Request.Header.Peek(fasthttp.HeaderXForwardedFor)) == 0 {
		connection.held = true
	}
}

// impatient reports that the request was sent while its connection was held.
func (c *call) impatient() bool {
	connection, ours := c.http.Conn().(*conn)
	return ours && connection.impatient
}

// hold waits until a connection may be read again, and notes whether its client has waited too.
func (c *conn) hold() {
	c.held = false
	wait := time.NewTimer(shedHold/2 + rand.N(shedHold/2))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-c.listener.stopping:
	}
	c.impatient = pending(c.Conn)
}

// run measures until stop is closed.
func (s *shedder) run(stop <-chan struct{}) error {
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe to measure how long polls wait: %w", err)
	}
	defer read.Close()
	returned := make(chan time.Time)
	go func() { // ends with the pipe
		defer close(returned)
		var pulse [1]byte
		for {
			if _, err := read.Read(pulse[:]); err != nil {
				return
			}
			returned <- time.Now()
		}
	}()
	defer func() {
		write.Close()
		for range returned {
		}
	}()
	tick := time.NewTicker(pulsePeriod)
	defer tick.Stop()
	queue := standingQueue{target: s.target}
	polling := s.polling.Value()
	for {
		select {
		case <-tick.C:
		case <-stop:
			return nil
		}
		began := time.Now()
		if _, err := write.Write([]byte{0}); err != nil {
			return fmt.Errorf("measure how long polls wait: %w", err)
		}
		now := <-returned
		if !queue.add(now, now.Sub(began)) {
			continue
		}
		before := polling
		polling = s.polling.Value()
		s.quota.Store(queue.surplus(int64(polling - before)))
		s.active.Store(now.Before(queue.remembered))
		s.delay.Store(int64(queue.least))
		s.window.Add(1)
	}
}

// standingQueue tells from the waits of pulses whether the queue is too long, and by how much.
type standingQueue struct {
	target     time.Duration
	begun      time.Time // the window
	pulses     int       // in it
	shortest   time.Duration
	least      time.Duration // the shortest wait of the window before
	long       int           // windows in a row in which it was too long
	remembered time.Time     // until when the last of them counts
}

// add notes a pulse and reports whether it was the last of its window. A window has two at least, so that one
// long pause is not two of them.
func (q *standingQueue) add(now time.Time, wait time.Duration) bool {
	if q.pulses == 0 {
		q.begun, q.shortest = now, wait
	}
	q.pulses++
	q.shortest = min(q.shortest, wait)
	if q.pulses < 2 || now.Sub(q.begun) < shedWindow {
		return false
	}
	q.pulses, q.least = 0, q.shortest
	if q.least <= q.target {
		q.long = 0
		return true
	}
	if q.long++; q.long >= shedWindows {
		q.remembered = now.Add(shedMemory)
	}
	return true
}

// surplus returns how many of the connections that polled in the last window are too many.
func (q *standingQueue) surplus(polling int64) int64 {
	if q.long < shedWindows {
		return 0
	}
	return int64(float64(polling) * (1 - float64(q.target)/float64(q.least)))
}
