package embedded

import (
	"errors"
	"io"
	"strings"
)

// chunks is a result that the engine hands over block by block. It writes
// every block as a document of its own, which only for Native makes a whole
// when they are put together.
type chunks struct {
	lease  *lease
	stream uintptr
	chunk  uintptr // the result that holds the current chunk, or 0
	ended  bool    // the engine has nothing more of the statement
}

// notStreamed is how the engine refuses, before anything runs, to stream a
// statement that is no SELECT.
const notStreamed = "Streaming query is not supported"

func (l *lease) openChunks(sql, format string, params map[string]string) (source, error) {
	c := &chunks{lease: l}
	err := l.guard(func() (err error) {
		c.stream, err = l.start(l.lib.streamQuery, sql, format, params)
		return err
	})
	if ex, ok := errors.AsType[*exception](err); ok && strings.Contains(ex.text, notStreamed) {
		return l.openWhole(sql, format, params)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *chunks) next() ([]byte, error) {
	c.free()
	if c.ended {
		return nil, io.EOF
	}
	err := c.lease.guard(func() error {
		c.chunk = c.lease.lib.streamFetch(*c.lease.handle, c.stream)
		if c.chunk == 0 {
			return errors.New("the engine gave no result")
		}
		return c.lease.resultError(c.chunk)
	})
	if err != nil {
		return nil, err
	}
	data := c.lease.bytes(c.chunk)
	if len(data) == 0 {
		c.ended = true
		return nil, io.EOF
	}
	return data, nil
}

func (c *chunks) free() {
	if c.chunk != 0 {
		c.lease.lib.resultDestroy(c.chunk)
		c.chunk = 0
	}
}

func (c *chunks) close() {
	c.free()
	if c.stream == 0 {
		return
	}
	if !c.ended {
		c.lease.giveUp(func() { c.lease.lib.streamCancel(*c.lease.handle, c.stream) })
	}
	c.lease.lib.resultDestroy(c.stream)
}
