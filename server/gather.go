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

// gather calls write and then sends what it wrote in one go; long parts of it must stay as they are until then.
// fasthttp writes a chunk in three calls, its frame apart from most of the body, and each of them wakes the client up,
// which is most of what sending over a fast network costs: together they took a fifth of the time of a history.
func (c *conn) gather(patience time.Duration, write func() error) error {
	g := gatherings.Get().(*gathered)
	c.gathered = g
	err := write()
	c.gathered = nil
	if err == nil {
		err = c.writeParts(g.parts, patience)
	}
	clear(g.parts)
	g.parts, g.small = g.parts[:0], g.small[:0]
	gatherings.Put(g)
	return err
}

// writeParts writes one part after the other until the deadline, which it moves on by patience while the client reads.
func (c *conn) writeParts(parts net.Buffers, patience time.Duration) error {
	buffered, known := unsent(c.Conn)
	for {
		n, err := parts.WriteTo(c.Conn) // what was written is no longer among the parts
		buffered += int(n)
		switch {
		case err == nil:
			return nil
		case c.writing.early(err):
			err = c.writing.rearm(c.Conn.SetWriteDeadline)
		case known && errors.Is(err, os.ErrDeadlineExceeded):
			left, _ := unsent(c.Conn)
			if buffered-left < leastAccepted {
				return err
			}
			buffered = left
			err = c.SetWriteDeadline(time.Now().Add(patience))
		}
		if err != nil {
			return err
		}
	}
}
