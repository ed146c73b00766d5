package embedded

import (
	"context"
	"io"
	"sync"
)

// body is the body of a response: the result of a running statement. It frees
// its connection at the end of the result, when it is closed, when the
// request's context ends or when the engine closes, whichever comes first.
type body struct {
	engine *Engine
	detach []func() bool // take back the hooks on the two contexts

	mu     sync.Mutex
	stream *stream // nil once the statement has ended
	rest   []byte  // what is left of the current chunk, in the engine's memory
	err    error   // what Read returns once the statement has ended
}

// newBody takes over st, whose first chunk is rest.
func newBody(ctx context.Context, e *Engine, st *stream, rest []byte) *body {
	b := &body{engine: e, stream: st, rest: rest}
	b.mu.Lock() // the hooks may run before both are noted
	defer b.mu.Unlock()
	b.detach = []func() bool{
		context.AfterFunc(ctx, func() { b.end(context.Cause(ctx)) }),
		context.AfterFunc(e.stop, func() { b.end(ErrClosed) }),
	}
	return b
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stream == nil {
		return 0, b.err
	}
	if len(b.rest) == 0 {
		var err error
		if b.rest, err = b.stream.next(); err == nil && len(b.rest) == 0 {
			err = io.EOF
		}
		if err != nil {
			b.finish(err)
			return 0, err
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close ends the statement without reading the rest of its result.
func (b *body) Close() error {
	b.end(io.ErrClosedPipe)
	return nil
}

func (b *body) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stream != nil {
		b.finish(err)
	}
}

// finish frees the connection; the caller holds mu.
func (b *body) finish(err error) {
	for _, detach := range b.detach {
		detach()
	}
	b.rest, b.err = nil, err
	b.stream.close()
	b.engine.release(b.stream.conn)
	b.stream = nil
}
