package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// insert streams the data of s into the engine and waits until they are
// committed. What stays of one that fails is told in the package's doc.
func (l *lease) insert(s *statement) error {
	var insert uintptr
	err := l.guard(func() error {
		insert = l.callWith(l.lib.insertStart, s.sql, s.format, s.params)
		if insert == 0 {
			return errors.New("the engine did not start the insert")
		}
		return l.insertError(insert)
	})
	if insert == 0 {
		return err
	}
	defer l.lib.insertDestroy(insert)
	if err == nil {
		err = l.feed(insert, s.data)
	}
	if err != nil {
		l.giveUp(func() { l.lib.insertCancel(insert) })
		return err
	}
	return l.guard(func() error {
		result := l.lib.insertDone(insert)
		defer l.lib.resultDestroy(result)
		return l.resultError(result)
	})
}

func (l *lease) insertError(insert uintptr) error {
	if text := l.lib.insertError(insert); text != "" {
		return newException(text)
	}
	return nil
}

// feed hands over the data. It returns nil also if the engine wants no more
// of them because the insert has failed, which insertDone then tells.
func (l *lease) feed(insert uintptr, data io.ReadCloser) error {
	// A reader that can be closed is made to return when the context ends.
	defer context.AfterFunc(l.ctx, func() { data.Close() })()
	buf := l.buffer()
	for {
		n, readErr := data.Read(buf)
		if l.ctx.Err() != nil {
			return context.Cause(l.ctx)
		}
		wanted := true
		if n > 0 {
			err := l.guard(func() error {
				wanted = l.lib.insertAppend(insert, &buf[0], uintptr(n)) == 0
				return nil
			})
			if err != nil {
				return err
			}
		}
		if readErr == io.EOF || !wanted {
			return nil
		}
		if readErr != nil {
			return fmt.Errorf("reading the data of the insert: %w", readErr)
		}
	}
}
