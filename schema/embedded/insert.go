package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"unsafe"
)

// insertChunk is how much of an insert's data is handed over at a time.
const insertChunk = 256 << 10

// insert streams the data of s into the engine and waits until they are
// committed.
func (c *conn) insert(ctx context.Context, s *statement) error {
	p := newParameters(s.params)
	defer p.pinner.Unpin()
	handle := c.lib.insertStart(*c.handle, unsafe.StringData(s.sql), uintptr(len(s.sql)),
		unsafe.StringData(s.format), uintptr(len(s.format)),
		first(p.names), first(p.nameLens), first(p.values), first(p.valueLens), uintptr(len(p.names)))
	if handle == 0 {
		return errors.New("the engine did not start the insert")
	}
	defer c.lib.insertDestroy(handle)
	if text := c.lib.insertError(handle); text != "" {
		return newException(text)
	}
	buf := make([]byte, insertChunk)
	for {
		n, err := s.data.Read(buf)
		if cause := context.Cause(ctx); cause != nil {
			c.lib.insertCancel(handle)
			return cause
		}
		if n > 0 && c.lib.insertAppend(handle, &buf[0], uintptr(n)) != 0 {
			break
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.lib.insertCancel(handle)
			return fmt.Errorf("reading the data of the insert: %w", err)
		}
	}
	result := c.lib.insertDone(handle)
	defer c.lib.resultDestroy(result)
	if text := c.lib.resultError(result); text != "" {
		return newException(text)
	}
	return nil
}
