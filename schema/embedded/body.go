package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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
	tag    string
	detach func() bool

	mu     sync.Mutex
	source source // nil when the statement has ended
	rest   []byte // what is left of the current chunk
	err    error  // what Read returns after rest once the statement has ended
}

// newBody takes over the lease and the source, whose first chunk has been
// read; it is empty if the result is.
func newBody(l *lease, s source, first []byte, tag string) *body {
	b := &body{lease: l, source: s, rest: first, tag: tag}
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
		b.rest, b.err = frameException(ex, b.tag), io.ErrUnexpectedEOF
	}
	b.source.close()
	b.source = nil
	if err == io.EOF {
		b.lease.release()
	} else {
		b.lease.releaseFailed()
	}
}

// exceptionTag makes the mark by which a client tells an exception in the body
// from data that look like one.
func exceptionTag() string { return rand.Text()[:16] }

// maxExceptionText bounds the text, because clickhouse-go looks for the frame
// in the last part of the body only.
const maxExceptionText = 8 << 10

// frameException is how ClickHouse reports a failure inside a body that has
// begun.
func frameException(ex *exception, tag string) []byte {
	text := ex.text[:min(len(ex.text), maxExceptionText)]
	const mark = "\r\n__exception__\r\n"
	return fmt.Appendf(nil, "%s%s\r\n%s\n%d %s%s", mark, tag, text, len(text)+1, tag, mark)
}
