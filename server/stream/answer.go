package stream

import (
	"context"
	"errors"
	"io"
	"math"
	"sync/atomic"
	"time"

	"lastseen/server/limit"
	"lastseen/server/transport"
)

// Source is an answer that is made in pieces, such as a *history.Stream. It is used by one goroutine.
type Source interface {
	// Next returns the next piece, which lives until the next call, and io.EOF after the last one. After another error
	// it is not called again.
	Next() ([]byte, error)
	// Suspend frees what the source can do without until Next is called, and reports whether there was such a thing. After
	// an error Next is not called.
	Suspend() (bool, error)
	// Ends returns when the answer is cut if it is not through by then; the zero time means never.
	Ends() time.Time
	// ContentType returns the media type of the pieces.
	ContentType() string
	io.Closer
}

// Call is what an Answer needs to know of the request that it answers.
type Call struct {
	Context    context.Context // ends when the answer is no longer wanted
	Connection *transport.Conn // may be nil
	Patience   time.Duration   // that the client may take to accept a piece, or 16 KB of a longer one
	// LeastRate says how many bytes a second the client must accept of an answer that cannot be suspended, once it has kept
	// the answer waiting for half of Patience in all; nil for no such limit.
	LeastRate func() int64
	Streams   *limit.Gate    // in which the answer has a place
	Begun     *atomic.Uint64 // counts the requests that have begun

	Allowed   func() error                   // says, when a further piece was made and is not sent yet, why the caller may no longer have it
	Suspended func()                         // is called when the source was suspended, and gives the place up
	Resuming  func() error                   // takes the place again, before the source is asked for more
	Panicked  func(fault any)                // is called when the source panicked, on its stack
	Ended     func(sent int64, failed error) // is called once, when the answer has ended
}

// errTooSlow says that a client has kept an answer waiting that cannot be suspended, and that others need the place of.
var errTooSlow = errors.New("the client reads a file too slowly, whose place others wait for")

var errPanicked = errors.New("what makes the answer panicked")

// Answer is an answer on its way, the body of an HTTP response. It belongs to one goroutine.
type Answer struct {
	call          Call
	from          Source
	coding        Coding
	first, second []byte // the pieces with which it begins
	more          bool   // first is not the whole
	sent          int64
	stalled       time.Duration // for which the client has kept it waiting
	failed        error         // why the answer was cut
	closed        bool
}

// Begin begins an answer with what a source makes, in a content coding, which it leaves out where that makes an answer no
// smaller. When it fails, the source is closed.
//
// It takes two pieces before it returns, if there are so many. So an answer of one piece has a length, and an early
// failure is a proper error. After that, a failure cuts the connection without the end of the last chunk, so that what
// arrived cannot be taken for the whole.
func Begin(from Source, as Coding, call Call) (a *Answer, err error) {
	a = &Answer{call: call, from: from}
	begun := false
	defer func() {
		if !begun { // a panic goes on
			err = errors.Join(err, a.from.Close())
		}
	}()
	if err = a.begin(); err == nil && as != Identity && (a.more || len(a.first) >= leastEncoded) {
		a.coding = as
		a.from = encode(from, as, a.first, a.second, a.more)
		err = a.begin()
	}
	begun = err == nil
	return a, err
}

// begin takes the first two pieces.
func (a *Answer) begin() error {
	piece, err := a.from.Next()
	a.first, a.second, a.more = nil, nil, false
	if err == nil {
		a.first = append([]byte{}, piece...) // the source may use its buffer again
		a.second, err = a.from.Next()
		a.more = err == nil
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// Whole returns the answer when it is but one piece, which is then not sent by WriteTo; the caller must Free it.
func (a *Answer) Whole() (body []byte, whole bool) { return a.first, !a.more }

// Free closes the source of an answer that is not sent by WriteTo.
func (a *Answer) Free() error { return a.from.Close() }

// ContentType returns the media type of the answer.
func (a *Answer) ContentType() string { return a.from.ContentType() }

// ContentEncoding returns the content coding as headers name it, and an empty text for none.
func (a *Answer) ContentEncoding() string {
	if a.coding == Identity {
		return ""
	}
	return a.coding.String()
}

// SupportsBodyWriteTo makes fasthttp call WriteTo instead of Read.
func (a *Answer) SupportsBodyWriteTo() bool { return true }

// Read is there because a body must be a reader; see SupportsBodyWriteTo.
func (a *Answer) Read([]byte) (int, error) {
	return 0, errors.New("a streamed answer is written, not read")
}

// WriteTo sends the whole answer. The client has a bounded time to accept each piece.
func (a *Answer) WriteTo(w io.Writer) (sent int64, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			a.call.Panicked(fault)
			err = errPanicked
		}
		sent, a.failed = a.sent, err
	}()
	pace := limit.NewPacer(a.call.Streams, a.call.Begun)
	out := a.call.Connection.BeginAnswer(a.call.Patience, a.from.Ends())
	if err := a.send(out, w, a.first); err != nil {
		return 0, err
	}
	for piece := a.second; ; {
		if err := a.call.Allowed(); err != nil {
			return 0, err
		}
		if err := a.send(out, w, piece); err != nil {
			return 0, err
		}
		began := time.Now()
		piece, err = a.from.Next()
		pace.Produced(a.call.Context, time.Since(began))
		if err == io.EOF {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// send sends a piece. While the client is slow to read it, the source is suspended.
func (a *Answer) send(out *transport.Answer, w io.Writer, piece []byte) error {
	err := out.Collect(func() error {
		n, err := w.Write(piece)
		a.sent += int64(n)
		return err
	})
	if err == nil {
		began := time.Now()
		err = out.Send()
		a.stalled += time.Since(began)
	}
	switch {
	case err == nil && a.patience() < 0:
		return errTooSlow
	case err != transport.ErrStalled:
		return err
	}
	suspended, err := a.from.Suspend()
	if err != nil {
		return err
	}
	if !suspended {
		return a.sendInTime(out)
	}
	a.call.Suspended()
	if err := out.Send(); err != nil {
		return err
	}
	return a.call.Resuming()
}

// sendInTime goes on sending a piece that the client stalls, of a source that keeps its place meanwhile.
func (a *Answer) sendInTime(out *transport.Answer) error {
	if a.call.LeastRate == nil {
		return out.Send()
	}
	began, patience := time.Now(), a.patience()
	err := out.SendBy(began.Add(patience))
	a.stalled += time.Since(began)
	if err != nil && time.Since(began) >= patience {
		return errors.Join(errTooSlow, err)
	}
	return err
}

// patience is for how much longer the client may keep an answer waiting that has a least rate.
func (a *Answer) patience() time.Duration {
	if a.call.LeastRate == nil {
		return math.MaxInt64
	}
	return a.call.Patience/2 + time.Duration(float64(a.sent)/float64(a.call.LeastRate())*float64(time.Second)) - a.stalled
}

// Close ends the answer. fasthttp calls it when the answer has been sent, has failed or is not wanted (HEAD).
func (a *Answer) Close() error {
	if a.closed {
		return nil
	}
	a.closed = true
	err := a.from.Close()
	if a.failed == nil {
		a.failed = err
	}
	a.call.Ended(a.sent, a.failed)
	return nil
}
