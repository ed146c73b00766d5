package schema

import (
	"encoding/binary"
	"math"

	"github.com/ClickHouse/ch-go/proto"
)

// runColumn encodes a LowCardinality(String) column in which neighbours are often equal: its dictionary has an entry for each run of
// them. proto.ColLowCardinality looks every text up in a map instead, which took half of the time of encoding a block of points,
// and found little that neighbours do not tell. ClickHouse does not mind a text that is in a dictionary twice.
type runColumn struct {
	runs   proto.ColStr
	places []uint32 // of each row's text among the runs
}

// LowCardinality columns are sent as their dictionary and each row's place in it, in integers of so many bits; see
// SerializationLowCardinality in ClickHouse's source.
const (
	lowCardinalityVersion = 1
	// lowCardinalityKeys says that the dictionary comes with the block and is the only one; the width of the places is added to it.
	lowCardinalityKeys                = 1<<9 | 1<<10
	placesOf8, placesOf16, placesOf32 = 0, 1, 2
)

// appendText adds a row.
func appendText[T string | []byte](c *runColumn, text T) {
	if last := len(c.runs.Pos) - 1; last < 0 || string(c.runs.Buf[c.runs.Pos[last].Start:c.runs.Pos[last].End]) != string(text) {
		start := len(c.runs.Buf)
		c.runs.Buf = append(c.runs.Buf, text...)
		c.runs.Pos = append(c.runs.Pos, proto.Position{Start: start, End: len(c.runs.Buf)})
	}
	c.places = append(c.places, uint32(len(c.runs.Pos)-1))
}

// Type implements proto.ColInput.
func (c *runColumn) Type() proto.ColumnType { return "LowCardinality(String)" }

// Rows implements proto.ColInput.
func (c *runColumn) Rows() int { return len(c.places) }

// Reset implements proto.Resettable.
func (c *runColumn) Reset() {
	c.runs.Reset()
	c.places = c.places[:0]
}

// EncodeState implements proto.StateEncoder.
func (c *runColumn) EncodeState(b *proto.Buffer) { b.PutInt64(lowCardinalityVersion) }

// EncodeColumn implements proto.ColInput.
func (c *runColumn) EncodeColumn(b *proto.Buffer) {
	if len(c.places) == 0 {
		return
	}
	width := int64(placesOf32)
	switch runs := c.runs.Rows(); {
	case runs <= math.MaxUint8+1:
		width = placesOf8
	case runs <= math.MaxUint16+1:
		width = placesOf16
	}
	b.PutInt64(lowCardinalityKeys | width)
	b.PutInt64(int64(c.runs.Rows()))
	c.runs.EncodeColumn(b)
	b.PutInt64(int64(len(c.places)))
	for _, place := range c.places {
		switch width {
		case placesOf8:
			b.Buf = append(b.Buf, byte(place))
		case placesOf16:
			b.Buf = binary.LittleEndian.AppendUint16(b.Buf, uint16(place))
		default:
			b.Buf = binary.LittleEndian.AppendUint32(b.Buf, place)
		}
	}
}

// WriteColumn implements proto.ColInput.
func (c *runColumn) WriteColumn(w *proto.Writer) { w.ChainBuffer(c.EncodeColumn) }
