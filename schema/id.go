package schema

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// ID identifies a device, a session or a key. It has the layout of a BSON ObjectId, which existing
// clients expect in `_id` fields: four bytes of Unix seconds, big endian, so that ids sort by age,
// then eight random bytes. On the wire and in ClickHouse it is 24 lower-case hexadecimal digits;
// in memory it is an array, so that tables of millions hold no pointers. The zero ID is no object's.
type ID [12]byte

// NewID returns a fresh id. It is safe for concurrent use.
func NewID() ID {
	var id ID
	binary.BigEndian.PutUint32(id[:4], uint32(time.Now().Unix()))
	rand.Read(id[4:]) // never fails since Go 1.24: it aborts the program instead
	return id
}

// ParseID reads the 24 hexadecimal digits of an id, in either case. Any other text is no id of
// ours, which callers treat like an id that does not exist. It does not keep text.
func ParseID[T string | []byte](text T) (ID, bool) {
	var id ID
	if len(text) != 2*len(id) {
		return ID{}, false
	}
	for i := range id {
		high, low := unhex[text[2*i]], unhex[text[2*i+1]]
		if high|low > 0xf {
			return ID{}, false
		}
		id[i] = high<<4 | low
	}
	return id, true
}

// unhex maps a hexadecimal digit to its value and everything else to 0xff.
var unhex = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i := range byte(10) {
		table['0'+i] = i
	}
	for i := range byte(6) {
		table['a'+i], table['A'+i] = 10+i, 10+i
	}
	return table
}()

// String returns the id's 24 lower-case hexadecimal digits.
func (id ID) String() string {
	return hex.EncodeToString(id[:])
}

// AppendHex appends the id's 24 lower-case hexadecimal digits to b.
func (id ID) AppendHex(b []byte) []byte {
	return hex.AppendEncode(b, id[:])
}

// Scan reads an id from a ClickHouse String column (it implements sql.Scanner).
func (id *ID) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("read an id: got %T, want a string", src)
	}
	parsed, ok := ParseID(text)
	if !ok {
		return fmt.Errorf("read an id: %q is not 24 hexadecimal digits", text)
	}
	*id = parsed
	return nil
}

// orEmpty returns the id's text, and none for the zero id.
func (id ID) orEmpty() string {
	if id == (ID{}) {
		return ""
	}
	return id.String()
}
