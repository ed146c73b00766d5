package server

import (
	"errors"
	"io"
	"iter"

	"lastseen/query/history"
)

// pulled makes of a history that writes itself one that is asked for its pieces.
type pulled struct {
	*history.Stream
	next func() ([]byte, bool)
	stop func()
	err  error
}

func newPulled(from *history.Stream) *pulled {
	p := &pulled{Stream: from}
	p.next, p.stop = iter.Pull(func(yield func([]byte) bool) { _, p.err = from.WriteTo(pieces(yield)) })
	return p
}

// Next returns the next piece.
func (p *pulled) Next() ([]byte, error) {
	piece, more := p.next()
	switch {
	case more:
		return piece, nil
	case p.err != nil:
		return nil, p.err
	}
	return nil, io.EOF
}

// Close ends the history.
func (p *pulled) Close() error {
	p.stop()
	return p.Stream.Close()
}

// pieces hands every write to the consumer of the coroutine.
type pieces func([]byte) bool

// Write returns when the piece has been used.
func (yield pieces) Write(piece []byte) (int, error) {
	if len(piece) > 0 && !yield(piece) {
		return 0, errors.New("nobody wants the rest of the answer")
	}
	return len(piece), nil
}
