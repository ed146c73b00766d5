package transport

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// vector is what a connection sends by one vectored write.
type vector struct {
	parts net.Buffers
	all   net.Buffers // the whole of parts, whose own beginning moves
	small []byte      // memory of the short parts, whose writer uses its own again
}

// ShortPart is the size that the buffer of a general server should have. What is longer was not in it, and is sent from
// where it lies.
const ShortPart = 4 << 10

var vectors = sync.Pool{New: func() any { return &vector{small: make([]byte, 0, 4*ShortPart)} }}

func (v *vector) add(part []byte) {
	if len(part) <= ShortPart {
		begin := len(v.small)
		v.small = append(v.small, part...)
		part = v.small[begin:]
	}
	v.parts = append(v.parts, part)
}

// Join has the connection send the beginning of the next answer, a full buffer of the general server, together with what follows it,
// which would otherwise wake its client twice. It may be called on nil.
func (c *Conn) Join() {
	if c != nil && c.secure == nil {
		c.joins = true
	}
}

// join keeps a full buffer until more is written, and then sends both. Others send nothing until flush.
func (c *Conn) join(p []byte) (written int, err error) {
	if c.joined == nil && len(p) == ShortPart {
		c.joined = vectors.Get().(*vector)
		c.joined.add(p)
		return len(p), nil
	}
	c.joins = false
	if c.joined == nil {
		return c.send(p)
	}
	c.joined.parts = append(c.joined.parts, p)
	return len(p), c.flush()
}

// flush sends what was kept.
func (c *Conn) flush() error {
	v := c.joined
	if v == nil {
		return nil
	}
	c.joins, c.joined = false, nil
	v.all = v.parts
	defer v.release()
	if c.answer != nil {
		return c.answer.write(&v.parts, false)
	}
	for {
		_, err := v.parts.WriteTo(c.Conn)
		if err == nil || !c.writing.early(err) {
			return err
		}
		if err = c.writing.rearm(c.Conn.SetWriteDeadline); err != nil {
			return err
		}
	}
}

// leastAccepted is how many bytes a client must accept in the time for a piece, or it counts as gone. The kernel lets a
// writer go on only when a third of what it may buffer is free, megabytes: the piece itself may not move for long though
// the client reads.
const leastAccepted = 16 << 10

// StallTime is how long a client may take to accept a piece before Send says that it stalls.
const StallTime = 500 * time.Millisecond

// ErrStalled says that the client has not accepted a piece for half a second. The piece is kept: Send goes on with it.
var ErrStalled = errors.New("the client is slow to read")

// Answer is an answer of several pieces on its way to a client, each of which goes by one vectored write: Collect what
// the general server makes of a piece, then Send it. It belongs to the goroutine that serves the connection.
//
// fasthttp writes a chunk in three calls, its frame apart from most of the body, and each of them wakes the client up,
// which is most of what sending over a fast network costs: together they took a fifth of the time of a history.
type Answer struct {
	conn     *Conn
	patience time.Duration // for leastAccepted
	ends     time.Time     // of the whole answer; zero: never
	vector   *vector       // nil between pieces
	stalled  bool          // Send has said so of this piece
}

// BeginAnswer begins an answer whose client may take patience for a piece, or for 16 KB of one that is longer, and all in
// all until ends, where that is not the zero time. What the connection sends until its next request counts as part of it.
func (c *Conn) BeginAnswer(patience time.Duration, ends time.Time) *Answer {
	a := &Answer{conn: c, patience: patience, ends: ends}
	if c != nil {
		c.answer = a
	}
	return a
}

// Collect calls write and keeps what it writes to the connection; long parts must stay as they are until Send has
// returned something else than ErrStalled.
func (a *Answer) Collect(write func() error) error {
	if a.conn == nil {
		return write()
	}
	a.vector, a.stalled = vectors.Get().(*vector), false
	a.conn.vector = a.vector
	err := write()
	a.conn.vector = nil
	a.vector.all = a.vector.parts
	if s := a.conn.secure; s != nil && err == nil {
		err = a.seal(s)
	}
	if err != nil {
		a.release()
	}
	return err
}

// seal puts what stands for a piece on a secure connection in its place.
func (a *Answer) seal(s *secure) error {
	out, err := s.seal(a.vector.parts...)
	if err != nil {
		return err
	}
	clear(a.vector.all)
	a.vector.parts = append(a.vector.all[:0], out)
	a.vector.all = a.vector.parts
	return nil
}

// Send sends what was collected. When the client has not accepted it within half a second it returns ErrStalled, once a
// piece, for the caller to free what it can do without, and to call Send again.
func (a *Answer) Send() error {
	if a.vector == nil {
		return nil
	}
	mayStall := !a.stalled
	err := a.write(&a.vector.parts, mayStall)
	if a.stalled = err == ErrStalled; !a.stalled {
		a.release()
	}
	if s := a.conn.secure; s != nil && err == nil {
		s.release()
	}
	return err
}

// SendBy is Send for a piece that must be sent by a time.
func (a *Answer) SendBy(until time.Time) error {
	ends := a.ends
	if ends.IsZero() || until.Before(ends) {
		a.ends = until
	}
	err := a.Send()
	a.ends = ends
	return err
}

func (a *Answer) release() {
	v := a.vector
	a.vector = nil
	v.release()
}

// release gives the memory to the next one.
func (v *vector) release() {
	clear(v.all)
	v.parts, v.all, v.small = v.all[:0], nil, v.small[:0]
	vectors.Put(v)
}

// deadline is when the client must have accepted something, at most limit from now.
func (a *Answer) deadline(limit time.Duration) time.Time {
	deadline := time.Now().Add(min(limit, a.patience))
	if !a.ends.IsZero() && a.ends.Before(deadline) {
		return a.ends
	}
	return deadline
}

func (a *Answer) late() bool { return !a.ends.IsZero() && !time.Now().Before(a.ends) }

// write writes one part after the other for as long as the client may take. What was written is no longer among the parts.
func (a *Answer) write(parts *net.Buffers, mayStall bool) error {
	c, limit := a.conn, a.patience
	if mayStall {
		limit = StallTime
	}
	if err := c.SetWriteDeadline(a.deadline(limit)); err != nil {
		return err
	}
	buffered, known := unsent(c.Conn)
	for {
		n, err := parts.WriteTo(c.Conn)
		buffered += int(n)
		switch {
		case err == nil:
			return nil
		case c.writing.early(err):
			err = c.writing.rearm(c.Conn.SetWriteDeadline)
		case !errors.Is(err, os.ErrDeadlineExceeded) || a.late():
			return err
		case mayStall:
			return ErrStalled
		case known:
			left, _ := unsent(c.Conn)
			if buffered-left < leastAccepted {
				return err
			}
			buffered = left
			err = c.SetWriteDeadline(a.deadline(a.patience))
		}
		if err != nil {
			return err
		}
	}
}
