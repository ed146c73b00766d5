package schema

import (
	"sync"

	"github.com/ClickHouse/ch-go/proto"
)

// insertPool keeps the memory of inserts with columns C for the next ones: the collector would have more
// to do with 10 MB an insert of 10,000 points than the insert has. It is safe for concurrent use.
type insertPool[C any] struct {
	pool sync.Pool // of *insertMemory[C]
}

// insertMemory is the memory of one insert.
type insertMemory[C any] struct {
	columns C
	block   proto.Buffer
}

// maxKeptBlock bounds the block, in bytes, whose memory is kept.
const maxKeptBlock = 16 << 20

// take returns memory without rows.
func (p *insertPool[C]) take() *insertMemory[C] {
	if m, kept := p.pool.Get().(*insertMemory[C]); kept {
		return m
	}
	return new(insertMemory[C])
}

// keep takes back the memory of an insert of input that went well; see insertBlock.
func (p *insertPool[C]) keep(m *insertMemory[C], input proto.Input) {
	if cap(m.block.Buf) > maxKeptBlock {
		return
	}
	for _, column := range input {
		column.Data.(proto.Resettable).Reset() // as every column of ours is
	}
	m.block.Reset()
	p.pool.Put(m)
}
