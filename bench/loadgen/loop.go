package loadgen

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Outcome says how a request ended well.
type Outcome uint8

// A request is served, or refused in a way that its Source allows for (an overloaded server's 503).
const (
	Served Outcome = iota
	Refused
)

// Exchange is one request under way, one a connection. The Source owns the exported fields, which
// keep their values from one request of a connection to the next.
type Exchange struct {
	// Request is the encoded request. It must not change until its answer is checked.
	Request []byte
	// Subject, Floor and Expect are the Source's notes on what the answer must say.
	Subject int
	Floor   int64
	Expect  int

	due, sent time.Duration
	busy      bool
}

// Source makes requests and judges their answers. Each worker has its own, so it need not be safe
// for concurrent use.
type Source interface {
	// Prepare fills x with the next request, and returns false when there are no more.
	Prepare(x *Exchange) bool
	// Check judges the answer to x. An error means that the answer is wrong, which ends the run.
	Check(x *Exchange, a *Answer) (Outcome, error)
}

// ErrWrongAnswer is matched by the error of a run that received a wrong answer.
var ErrWrongAnswer = errors.New("wrong answer")

// network carries requests over connections. One goroutine uses it.
type network interface {
	// send begins to send a request over connection c, which must stay unchanged until its answer.
	send(c int, request []byte) error
	// wait returns after at most timeout, or when answered was called at least once: with an
	// answer, or with an error when the connection broke; it is then closed until reconnect.
	wait(timeout time.Duration, answered func(c int, a *Answer, err error)) error
	// reconnect opens connection c anew.
	reconnect(c int) error
}

// sweepEvery is how often requests are checked for having timed out.
const sweepEvery = 100 * time.Millisecond

// loop is one worker's run: it sends what is due and records what comes back. It has no clock and
// no sockets of its own, so that a test can run it in made-up time.
type loop struct {
	net      network
	clock    func() time.Duration // since the start of the run; never goes back
	schedule *schedule            // nil in a closed loop
	source   Source
	rec      *recorder
	end      time.Duration // nothing is sent from then on
	timeout  time.Duration // of one request
	shed     bool
	tolerant bool

	exchanges []Exchange
	idle      ring // the free connections, oldest first: all of them get used
	inFlight  int
	exhausted bool
	nextSweep time.Duration
	failure   error // the first one
	fatal     error
}

// run sends until the end, then waits for the answers that are still out.
func (l *loop) run(ctx context.Context) error {
	l.idle = ring{items: make([]int, len(l.exchanges))}
	for c := range l.exchanges {
		l.idle.push(c)
	}
	if l.schedule == nil {
		l.fill()
	}
	for l.fatal == nil && ctx.Err() == nil {
		now := l.clock()
		if now >= l.end || l.exhausted && l.inFlight == 0 {
			break
		}
		if l.schedule != nil {
			l.sendDue(now)
		}
		l.sweep(now)
		if err := l.net.wait(l.patience(), l.answered); err != nil {
			return fmt.Errorf("wait for answers: %w", err)
		}
	}
	for deadline := l.clock() + l.timeout; l.inFlight > 0 && l.fatal == nil && ctx.Err() == nil && l.clock() < deadline; {
		if err := l.net.wait(sweepEvery, l.answered); err != nil {
			return fmt.Errorf("wait for the last answers: %w", err)
		}
	}
	if l.fatal == nil && l.inFlight > 0 && ctx.Err() == nil {
		l.fail(fmt.Errorf("%d requests were never answered", l.inFlight))
	}
	return errors.Join(l.fatal, ctx.Err())
}

// fill starts a closed loop: every connection sends at once.
func (l *loop) fill() {
	for range l.idle.n {
		l.sendOn(l.idle.pop(), l.clock())
	}
}

// sendDue sends the arrivals that are due as far as connections are free. The others keep their
// due time and wait, unless the run sheds them.
func (l *loop) sendDue(now time.Duration) {
	for l.schedule.due() <= now && l.idle.n > 0 && !l.exhausted && l.fatal == nil {
		due := l.schedule.due()
		l.schedule.advance()
		c := l.idle.pop()
		if now >= l.rec.from {
			record(l.rec.lateness, now-max(due, l.exchanges[c].sent))
		}
		l.sendOn(c, due)
	}
	if l.shed {
		l.drop(now)
	}
}

// drop sheds the arrivals that were due before now: no connection was free for them.
func (l *loop) drop(now time.Duration) {
	if dropped := l.schedule.skipTo(now); now >= l.rec.from {
		l.rec.unsent += dropped
	}
}

// sendOn sends the next request over a free connection.
func (l *loop) sendOn(c int, due time.Duration) {
	x := &l.exchanges[c]
	if !l.source.Prepare(x) {
		l.exhausted = true
		l.idle.push(c)
		return
	}
	x.due, x.sent, x.busy = due, l.clock(), true
	l.inFlight++
	if err := l.net.send(c, x.Request); err != nil {
		l.broken(c, fmt.Errorf("send a request: %w", err))
	}
}

// answered is called for every answer and every broken connection.
func (l *loop) answered(c int, a *Answer, err error) {
	if err != nil {
		l.broken(c, err)
		return
	}
	now := l.clock()
	x := &l.exchanges[c]
	if !x.busy {
		if a.Status == requestTimeout && a.closes { // RFC 9110, 15.5.9: so a server may close a connection that was not used
			l.broken(c, errUnused)
			return
		}
		l.fatal = fmt.Errorf("%w: an answer came to no request: %d", ErrWrongAnswer, a.Status)
		return
	}
	x.busy = false
	l.inFlight--
	outcome, err := l.source.Check(x, a)
	if err != nil {
		l.fatal = fmt.Errorf("%w: %w", ErrWrongAnswer, err)
		return
	}
	l.rec.answered(x, outcome, a.Status, now)
	x.sent = now // from here on the connection is free: see lateness
	if a.closes && !l.renew(c) {
		return
	}
	l.next(c, now)
}

// requestTimeout is the status of the answer to a request that did not come.
const requestTimeout = 408

var errUnused = errors.New("the server closes a connection that was not used")

// next gives a free connection something to do.
func (l *loop) next(c int, now time.Duration) {
	switch {
	case now >= l.end || l.exhausted || l.fatal != nil:
		l.idle.push(c)
	case l.schedule == nil:
		l.sendOn(c, now)
	case l.shed && l.idle.n == 0:
		l.drop(now)
		l.idle.push(c)
	case l.idle.n == 0 && l.schedule.due() <= now:
		due := l.schedule.due()
		l.schedule.advance()
		l.sendOn(c, due)
	default:
		l.idle.push(c)
	}
}

// broken deals with a connection that failed. Servers may close one that is idle; a request that
// was under way counts as failed.
func (l *loop) broken(c int, cause error) {
	x := &l.exchanges[c]
	wasBusy := x.busy
	if wasBusy {
		x.busy = false
		l.inFlight--
		l.fail(cause)
	} else {
		l.idle.remove(c)
	}
	if l.fatal == nil && l.renew(c) {
		x.sent = l.clock()
		l.next(c, x.sent)
	}
}

// renew reconnects c. Where that fails the run goes on without c, as long as it has others.
func (l *loop) renew(c int) bool {
	err := l.net.reconnect(c)
	if err == nil {
		return true
	}
	l.fail(fmt.Errorf("reconnect: %w", err))
	if l.inFlight == 0 && l.idle.n == 0 && l.fatal == nil {
		l.fatal = fmt.Errorf("every connection is lost: %w", err)
	}
	return false
}

// fail counts a failure, which ends the run unless it tolerates failures.
func (l *loop) fail(cause error) {
	l.rec.failed++
	if l.failure == nil {
		l.failure = cause
	}
	if !l.tolerant && l.fatal == nil {
		l.fatal = cause
	}
}

// sweep gives up on requests that have waited longer than the time-out.
func (l *loop) sweep(now time.Duration) {
	if now < l.nextSweep {
		return
	}
	l.nextSweep = now + sweepEvery
	for c := range l.exchanges {
		if x := &l.exchanges[c]; x.busy && now-x.sent > l.timeout {
			l.broken(c, fmt.Errorf("a request had no answer after %v", l.timeout))
		}
	}
}

// patience is how long to wait for answers: until the next arrival, if a connection is free for it.
func (l *loop) patience() time.Duration {
	now := l.clock()
	until := min(l.nextSweep, l.end)
	if l.schedule != nil && !l.exhausted && l.idle.n > 0 {
		until = min(until, l.schedule.due())
	}
	return max(until-now, 0)
}

// ring is a queue of connections that never grows.
type ring struct {
	items   []int
	head, n int
}

func (r *ring) push(c int) {
	r.items[(r.head+r.n)%len(r.items)] = c
	r.n++
}

func (r *ring) pop() int {
	c := r.items[r.head]
	r.head = (r.head + 1) % len(r.items)
	r.n--
	return c
}

// remove takes a connection out of the queue, if it is in it.
func (r *ring) remove(c int) {
	for range r.n {
		if other := r.pop(); other != c {
			r.push(other)
		}
	}
}
