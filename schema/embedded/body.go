package embedded

import (
	"context"
	"errors"
	"io"
	"sync"
)

// errAbandoned is why a statement ends whose result nobody wants any more.
var errAbandoned = errors.New("the body of the response was closed")

// body is the body of a response. It releases its lease at the end of the
// result, when it is closed or when the lease's context ends, whichever comes
// first.
type body struct {
	lease  *lease
	detach func() bool

	mu     sync.Mutex
	source source // nil when the statement has ended
	rest   []byte // what is left of the current chunk
	err    error  // what Read returns after rest once the statement has ended
}

// newBody takes over the lease and the source, whose first chunk has been
// read; it is empty if the result is.
func newBody(l *lease, s source, first []byte) *body {
	b := &body{lease: l, source: s, rest: first}
	b.mu.Lock() // the hook may run before it is noted
	defer b.mu.Unlock()
	if len(first) == 0 {
		b.finish(io.EOF)
		return b
	}
	b.detach = context.AfterFunc(l.ctx, func() { b.end(context.Cause(l.ctx)) })
	return b
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rest) == 0 && b.source != nil {
		chunk, err := b.source.next()
		if err != nil {
			b.finish(err)
		} else {
			b.rest = chunk
		}
	}
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close ends the statement without reading the rest of its result.
func (b *body) Close() error {
	b.lease.cancel(errAbandoned) // so that a Read that is under way returns
	b.end(errAbandoned)
	return nil
}

func (b *body) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.source != nil {
		b.finish(err)
	}
}

// finish ends the statement and says how Read goes on. The caller holds mu.
func (b *body) finish(err error) {
	if b.detach != nil {
		b.detach()
	}
	b.rest, b.err = nil, err
	if ex, ok := errors.AsType[*exception](err); ok {
		b.err = ex.forClient()
	}
	b.source.close()
	b.source = nil
	if err == io.EOF {
		b.lease.release()
	} else {
		b.lease.releaseFailed()
	}
}
