package transport

import (
	"errors"
	"net"
	"os"
	"time"
)

// deadline is a time limit of a connection's reads or writes that is cheap to move. fasthttp moves
// three of them for every request, and each move in the runtime locks the poller and rearranges a
// heap of timers, which costs more than looking a session up. Here a later time is only noted; when
// the earlier one passes, the call that it ends goes on until the noted one.
type deadline struct {
	wanted time.Time // zero for none
	armed  time.Time // what the runtime knows of, never later than wanted unless that is zero
	exact  bool      // whether the runtime is told of every move: see Options.ExactWrites
}

// move sets what is wanted, by telling the runtime when that is earlier than what it knows.
func (d *deadline) move(to time.Time, arm func(time.Time) error) error {
	d.wanted = to
	if !d.exact && !d.armed.IsZero() && !to.IsZero() && !to.Before(d.armed) {
		return nil
	}
	return d.rearm(arm)
}

func (d *deadline) rearm(arm func(time.Time) error) error {
	if err := arm(d.wanted); err != nil {
		return err
	}
	d.armed = d.wanted
	return nil
}

// early reports whether an error stands for a time that has passed before the one that is wanted.
func (d *deadline) early(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && (d.wanted.IsZero() || time.Now().Before(d.wanted))
}

// SetDeadline limits reads and writes.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline limits reads that begin afterwards.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.reading.move(t, c.Conn.SetReadDeadline)
}

// SetWriteDeadline limits writes that begin afterwards.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.writing.move(t, c.Conn.SetWriteDeadline)
}

// read reads until the deadline.
func (c *Conn) read(p []byte) (n int, err error) {
	for {
		if c.secure != nil {
			n, err = c.secure.read(p)
		} else {
			n, err = c.Conn.Read(p)
		}
		if err == nil || n > 0 || !c.reading.early(err) {
			return n, err
		}
		if err = c.reading.rearm(c.Conn.SetReadDeadline); err != nil {
			return 0, err
		}
	}
}

// Write writes until the deadline, or keeps what is written for an Answer to send.
func (c *Conn) Write(p []byte) (written int, err error) {
	if c.vector != nil {
		c.vector.add(p)
		return len(p), nil
	}
	switch {
	case c.joins:
		return c.join(p)
	case c.secure == nil:
		return c.send(p)
	}
	out, err := c.secure.seal(p)
	if err != nil {
		return 0, err
	}
	if _, err := c.send(out); err != nil {
		return 0, err
	}
	c.secure.release()
	return len(p), nil
}

// send writes to the socket, as part of an Answer where one has begun.
func (c *Conn) send(p []byte) (written int, err error) {
	if c.answer != nil { // its end
		if err := c.answer.write(&net.Buffers{p}, false); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	for {
		n, err := c.Conn.Write(p[written:])
		written += n
		if err == nil || !c.writing.early(err) {
			return written, err
		}
		if err = c.writing.rearm(c.Conn.SetWriteDeadline); err != nil {
			return written, err
		}
	}
}
