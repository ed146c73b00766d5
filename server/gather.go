package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// gathered is what a connection sends in one go.
type gathered struct {
	parts net.Buffers
	small []byte // memory of the short parts, whose writer uses its own again
}

// shortPart is the size of fasthttp's buffer. What is longer was not in it, and is sent from where the piece lies.
const shortPart = 4 << 10

var gatherings = sync.Pool{New: func() any { return &gathered{small: make([]byte, 0, 4*shortPart)} }}

func (g *gathered) add(part []byte) {
	if len(part) <= shortPart {
		begin := len(g.small)
		g.small = append(g.small, part...)
		part = g.small[begin:]
	}
	g.parts = append(g.parts, part)
}

// leastAccepted is how many bytes a client must accept in the time for a piece, or it counts as gone. The kernel lets a
// writer go on only when a third of what it may buffer is free, megabytes: the piece itself may not move for long though
// the client reads.
const leastAccepted = 16 << 10

// stallTime is how long a client may take to accept a piece before what makes the pieces is suspended.
const stallTime = 500 * time.Millisecond

// consumer says how long the client may take that reads an answer.
type consumer struct {
	patience time.Duration // for leastAccepted
	ends     time.Time     // of the whole answer; zero: never
}

// deadline is when the client must have accepted something, at most limit from now.
func (c consumer) deadline(limit time.Duration) time.Time {
	deadline := time.Now().Add(min(limit, c.patience))
	if !c.ends.IsZero() && c.ends.Before(deadline) {
		return c.ends
	}
	return deadline
}

func (c consumer) late() bool { return !c.ends.IsZero() && !time.Now().Before(c.ends) }

// gather calls write and then sends what it wrote in one go; long parts of it must stay as they are until then.
// fasthttp writes a chunk in three calls, its frame apart from most of the body, and each of them wakes the client up,
// which is most of what sending over a fast network costs: together they took a fifth of the time of a history.
// When the client has not accepted it within stallTime, stalled is called, at most once.
func (c *conn) gather(from consumer, stalled, write func() error) error {
	g := gatherings.Get().(*gathered)
	c.gathered, c.consumer = g, from
	err := write()
	c.gathered = nil
	if err == nil {
		err = c.writeParts(g.parts, stalled)
	}
	clear(g.parts)
	g.parts, g.small = g.parts[:0], g.small[:0]
	gatherings.Put(g)
	return err
}

// writeParts writes one part after the other for as long as the consumer may take. stalled may be nil.
func (c *conn) writeParts(parts net.Buffers, stalled func() error) error {
	limit := c.consumer.patience
	if stalled != nil {
		limit = stallTime
	}
	if err := c.SetWriteDeadline(c.consumer.deadline(limit)); err != nil {
		return err
	}
	buffered, known := unsent(c.Conn)
	for {
		n, err := parts.WriteTo(c.Conn) // what was written is no longer among the parts
		buffered += int(n)
		switch {
		case err == nil:
			return nil
		case c.writing.early(err):
			err = c.writing.rearm(c.Conn.SetWriteDeadline)
		case !errors.Is(err, os.ErrDeadlineExceeded) || c.consumer.late():
			return err
		case stalled != nil:
			if err = stalled(); err == nil {
				err = c.SetWriteDeadline(c.consumer.deadline(c.consumer.patience))
			}
			stalled = nil
		case known:
			left, _ := unsent(c.Conn)
			if buffered-left < leastAccepted {
				return err
			}
			buffered = left
			err = c.SetWriteDeadline(c.consumer.deadline(c.consumer.patience))
		}
		if err != nil {
			return err
		}
	}
}
