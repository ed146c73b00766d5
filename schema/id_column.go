package schema

import (
	"bytes"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// idColumn decodes a String column of ids. Its texts are of one length, so that a block of them is read in one piece, which
// takes a fraction of what reading text by text does.
type idColumn struct {
	ids     []ID
	encoded []byte
}

// encodedID is how many bytes an id takes in a block: its length, in one byte, and its digits.
const encodedID = 1 + 2*len(ID{})

// Type implements proto.ColResult.
func (c *idColumn) Type() proto.ColumnType { return proto.ColumnTypeString }

// Rows implements proto.ColResult.
func (c *idColumn) Rows() int { return len(c.ids) }

// Reset implements proto.ColResult.
func (c *idColumn) Reset() { c.ids = c.ids[:0] }

// DecodeColumn implements proto.ColResult. After an error the rest of the block cannot be read.
func (c *idColumn) DecodeColumn(r *proto.Reader, rows int) error {
	if cap(c.ids) < rows {
		c.ids, c.encoded = make([]ID, rows), make([]byte, rows*encodedID)
	}
	c.ids = c.ids[:rows]
	encoded := c.encoded[:rows*encodedID]
	if err := r.ReadFull(encoded); err != nil {
		return fmt.Errorf("read a column of ids: %w", err)
	}
	var last []byte
	for i := range c.ids {
		text := encoded[i*encodedID:][:encodedID]
		if bytes.Equal(text, last) { // neighbours in the order of a table often are
			c.ids[i] = c.ids[i-1]
			continue
		}
		last = text
		id, ok := ParseID(text[1:])
		if !ok || int(text[0]) != encodedID-1 {
			return fmt.Errorf("the id in row %d is not 24 hexadecimal digits", i)
		}
		c.ids[i] = id
	}
	return nil
}
