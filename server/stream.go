package server

import (
	"errors"
	"io"
	"iter"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/server/limit"
	"lastseen/server/problem"
	"lastseen/server/transport"
)

// source is an answer that is written in pieces, such as a *query.Stream. WriteTo is called at most
// once; Close, which may follow it, frees what the source holds.
type source interface {
	io.WriterTo
	io.Closer
	// Suspend frees what WriteTo can do without while it waits for its writer, is called meanwhile, and reports
	// whether there was such a thing. After an error WriteTo is not gone on with.
	Suspend() (bool, error)
	// Ends returns when the answer is cut if it is not through by then; the zero time means never.
	Ends() time.Time
	// ContentType returns the media type of what WriteTo writes.
	ContentType() string
}

// stream answers with what a source writes, as it writes it, in a content coding. The source runs as
// a coroutine of the goroutine that serves the connection: it goes on when its last piece has been
// accepted by the client's socket, so neither a queue nor a goroutine that somebody must wait for is
// between them.
//
// Nothing is sent before two pieces have been written or the source is through. So an answer of one
// piece has a Content-Length, and an early failure is a proper error. After that, a failure cuts the
// connection without the end of the last chunk, so that what arrived cannot be taken for the whole.
func (c *call) stream(from source, as coding) error {
	s := &answerStream{call: c, from: from}
	s.next, s.stop = iter.Pull(s.run)
	whole := s.prime()
	if as != identity && (!whole || len(s.first) >= leastEncoded) && s.err == nil {
		s.encode(as)
		whole = s.prime()
	} else {
		as = identity
	}
	if whole {
		s.free()
		if s.err != nil {
			return s.err
		}
		c.reply(fasthttp.StatusOK, s.first)
	} else if !c.http.Request.Header.IsHTTP11() {
		s.free()
		return problem.HTTP10
	} else {
		c.streams = true
		c.http.SetStatusCode(fasthttp.StatusOK)
		c.http.Response.SetBodyStream(s, -1)
	}
	header := &c.http.Response.Header
	header.SetContentType(from.ContentType())
	if as != identity {
		header.SetContentEncoding(codingNames[as])
	}
	return nil
}

// prime takes the first two pieces and reports whether there are no more.
func (s *answerStream) prime() (whole bool) {
	piece, more := s.next()
	if !more {
		return true
	}
	// The source may use its buffer again.
	s.first = append(s.first, piece...)
	s.second, more = s.next()
	return !more
}

// encode puts an encoder between the source and the answer.
func (s *answerStream) encode(as coding) {
	plain, stop := s.next, s.stop
	first, second := s.first, s.second
	s.first, s.second = nil, nil
	rest := func(yield func([]byte) bool) {
		if !yield(first) || second != nil && !yield(second) {
			return
		}
		for piece, more := plain(); more && yield(piece); {
			piece, more = plain()
		}
	}
	next, stopEncoder := iter.Pull(encoded(as, rest, func() bool { return s.err == nil }))
	s.next, s.stop = next, func() {
		stopEncoder()
		stop()
	}
}

// answerStream is the body of an answer that is being streamed. It belongs to one goroutine.
type answerStream struct {
	call          *call
	from          source
	next          func() ([]byte, bool) // runs the source until it has written the next piece
	stop          func()                // makes the source's write fail and waits until it returns
	err           error                 // why the source ended, nil at its proper end
	first, second []byte
	sent          int64
	failed        error // why the answer was cut
	closed        bool
}

var (
	errStopped  = errors.New("nobody wants the rest of the answer")
	errPanicked = errors.New("what writes the answer panicked")
)

// run is the coroutine. A panic ends it like an error; only here its stack is known.
func (s *answerStream) run(yield func([]byte) bool) {
	defer func() {
		if fault := recover(); fault != nil {
			s.call.logPanic(fault)
			s.err = errPanicked
		}
	}()
	_, s.err = s.from.WriteTo(pieces(yield))
}

// pieces hands every write to the consumer of the coroutine.
type pieces func([]byte) bool

// Write returns when the piece has been used.
func (yield pieces) Write(piece []byte) (int, error) {
	if len(piece) > 0 && !yield(piece) {
		return 0, errStopped
	}
	return len(piece), nil
}

// SupportsBodyWriteTo makes fasthttp call WriteTo instead of Read.
func (s *answerStream) SupportsBodyWriteTo() bool { return true }

// WriteTo sends the whole answer. The client has a bounded time to accept each piece.
func (s *answerStream) WriteTo(w io.Writer) (int64, error) {
	piece, more := s.first, true
	server := s.call.server
	pace := limit.NewPacer(server.streams, &server.ids.count)
	answer := s.call.connection().BeginAnswer(server.config.WriteTimeout, s.from.Ends())
	for more {
		if s.failed = s.send(answer, w, piece); s.failed != nil {
			return s.sent, s.failed
		}
		if s.second != nil {
			piece, s.second = s.second, nil
			continue
		}
		began := time.Now()
		piece, more = s.next()
		pace.Produced(s.call.context(), time.Since(began))
	}
	s.failed = s.err
	return s.sent, s.failed
}

// send sends a piece. While the client is slow to read it, the source is suspended.
func (s *answerStream) send(answer *transport.Answer, w io.Writer, piece []byte) error {
	err := answer.Collect(func() error {
		n, err := w.Write(piece)
		s.sent += int64(n)
		return err
	})
	if err == nil {
		err = answer.Send()
	}
	if err == transport.ErrStalled {
		if err = s.suspend(); err == nil {
			err = answer.Send()
		}
	}
	return err
}

// suspend frees what the source can do without while the client is slow to read.
func (s *answerStream) suspend() error {
	suspended, err := s.from.Suspend()
	if suspended {
		s.call.server.counts.suspends.Add(1)
	}
	return err
}

// Read returns what is left of the answer piece by piece, for a consumer that cannot take WriteTo.
func (s *answerStream) Read(p []byte) (int, error) {
	for len(s.first) == 0 {
		if s.second != nil {
			s.first, s.second = s.second, nil
			continue
		}
		piece, more := s.next()
		if !more {
			if s.failed = s.err; s.failed != nil {
				return 0, s.failed
			}
			return 0, io.EOF
		}
		s.first = piece
	}
	n := copy(p, s.first)
	s.first = s.first[n:]
	s.sent += int64(n)
	return n, nil
}

// free ends the source.
func (s *answerStream) free() {
	s.stop()
	if err := s.from.Close(); err != nil && s.err == nil {
		s.err = err
	}
}

// Close ends the answer and the call. fasthttp calls it when the answer has been sent, has failed or
// is not wanted (HEAD).
func (s *answerStream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.free()
	s.call.entry.bytes = s.sent
	if s.failed != nil {
		s.call.entry.cut(s.failed)
	}
	s.call.end()
	return nil
}
