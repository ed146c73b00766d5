package schema

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/ClickHouse/ch-go/proto"
)

// nativeBuffer is how much of a result is read from ClickHouse at a time. Since it is no less than what proto.Reader would
// buffer, that reads from this buffer, so that a sharedTexts may too.
const nativeBuffer = 128 << 10

// sharedTexts decodes a String column straight from the buffer of a nativeReader, which takes a tenth of what reading text by
// text does. The texts of a block lie in one piece of memory, which is there as long as one of them is.
type sharedTexts struct {
	proto.ColStr // what it is otherwise; empty
	from         *bufio.Reader
	ends         []int // of the texts in all
	collected    []byte
	all          string
}

// readFrom implements buffered.
func (c *sharedTexts) readFrom(from *bufio.Reader) { c.from = from }

// buffered is a column that reads from the buffer of a nativeReader.
type buffered interface{ readFrom(*bufio.Reader) }

// Rows implements proto.ColResult.
func (c *sharedTexts) Rows() int { return len(c.ends) }

// Reset implements proto.ColResult.
func (c *sharedTexts) Reset() { c.ends = c.ends[:0] }

// Row returns a text.
func (c *sharedTexts) Row(i int) string {
	if i == 0 {
		return c.all[:c.ends[0]]
	}
	return c.all[c.ends[i-1]:c.ends[i]]
}

// DecodeColumn implements proto.ColResult.
func (c *sharedTexts) DecodeColumn(_ *proto.Reader, rows int) error {
	if err := c.collect(rows); err != nil {
		return err
	}
	c.all = string(c.collected)
	return nil
}

// collect reads a column into memory that the next one takes again.
func (c *sharedTexts) collect(rows int) error {
	if cap(c.ends) < rows {
		c.ends = make([]int, 0, rows)
	}
	c.ends, c.collected = c.ends[:0], c.collected[:0]
	for len(c.ends) < rows {
		if err := c.take(rows); err != nil {
			return fmt.Errorf("read a column of texts: %w", err)
		}
	}
	return nil
}

// take takes over what is whole in the buffer, and at least one text of so many rows.
func (c *sharedTexts) take(rows int) error {
	if c.from.Buffered() == 0 {
		if _, err := c.from.Peek(1); err != nil {
			return unexpected(err)
		}
	}
	window, err := c.from.Peek(c.from.Buffered())
	if err != nil {
		return unexpected(err)
	}
	at := 0
	for at < len(window) && len(c.ends) < rows {
		n := int(window[at])
		if n >= 0x80 || at+1+n > len(window) {
			break
		}
		c.collected = append(c.collected, window[at+1:at+1+n]...)
		c.ends = append(c.ends, len(c.collected))
		at += 1 + n
	}
	if _, err := c.from.Discard(at); err != nil {
		return unexpected(err)
	}
	if at > 0 {
		return nil
	}
	return c.takeOne()
}

// takeOne takes over a text that is long or not whole in the buffer.
func (c *sharedTexts) takeOne() error {
	length, err := readLength(c.from)
	if err != nil {
		return err
	}
	before := len(c.collected)
	for missing := length; missing > 0; {
		part := min(missing, nativeBuffer) // so that a wrong length costs no more memory than there is to be read
		at := len(c.collected)
		c.collected = append(c.collected, make([]byte, part)...)
		if _, err := io.ReadFull(c.from, c.collected[at:]); err != nil {
			c.collected = c.collected[:before]
			return unexpected(err)
		}
		missing -= part
	}
	c.ends = append(c.ends, len(c.collected))
	return nil
}

var errLength = errors.New("the length of a text cannot be true")

// readLength reads the length of a text.
func readLength(from *bufio.Reader) (length int, err error) {
	for shift := 0; shift < 35; shift += 7 {
		digit, err := from.ReadByte()
		if err != nil {
			return 0, unexpected(err)
		}
		length |= int(digit&0x7f) << shift
		if digit < 0x80 {
			return length, nil
		}
	}
	return 0, errLength
}

// unexpected is what an error of reading means within a column.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// repeatedTexts is a sharedTexts of few different texts, so that few have to be kept.
type repeatedTexts struct {
	sharedTexts
	last string // that was asked for
	kept [64]string
}

// DecodeColumn implements proto.ColResult.
func (c *repeatedTexts) DecodeColumn(_ *proto.Reader, rows int) error { return c.collect(rows) }

// Row returns a text.
func (c *repeatedTexts) Row(i int) string {
	start := 0
	if i > 0 {
		start = c.ends[i-1]
	}
	text := c.collected[start:c.ends[i]]
	if string(text) == c.last { // as of most neighbours
		return c.last
	}
	kept := &c.kept[0]
	if n := len(text); n > 0 {
		kept = &c.kept[(uint32(text[n-1])+31*uint32(text[n/2])+7*uint32(n))%uint32(len(c.kept))]
	}
	if string(text) != *kept {
		*kept = string(text)
	}
	c.last = *kept
	return c.last
}

// nullableTexts is a sharedTexts whose texts may be NULL.
type nullableTexts struct {
	proto.ColNullable[string]
	texts  sharedTexts
	values []string // of the block, where one is not NULL
}

// nullable returns the column as it decodes itself.
func newNullableTexts() *nullableTexts {
	c := new(nullableTexts)
	c.Values = &c.texts
	return c
}

// readFrom implements buffered.
func (c *nullableTexts) readFrom(from *bufio.Reader) { c.texts.readFrom(from) }

// DecodeColumn implements proto.ColResult.
func (c *nullableTexts) DecodeColumn(r *proto.Reader, rows int) error {
	if err := c.ColNullable.DecodeColumn(r, rows); err != nil {
		return err
	}
	c.values = nil
	for i, null := range c.Nulls {
		if null != 0 {
			continue
		}
		if c.values == nil {
			c.values = make([]string, rows)
		}
		c.values[i] = c.texts.Row(i)
	}
	return nil
}

// at returns a text, nil for NULL.
func (c *nullableTexts) at(i int) *string {
	if c.Nulls[i] != 0 {
		return nil
	}
	return &c.values[i]
}
