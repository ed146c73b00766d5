package schema

// longBlock is how many rows a block has at least after which another one is likely. ClickHouse's blocks are those of the
// parts, up to 65,409 rows.
const longBlock = 4 << 10

// readAhead decodes the next block of a long result while the one before is used: ClickHouse hands a block over while
// it is waited for, and the two together took a sixth of the time of a history. A goroutine does so until the end of the
// result or of the query; close waits for it.
type readAhead struct {
	native *nativeReader
	wanted columnSet
	free   chan *pointColumns // to decode into
	blocks chan pointBlock
	done   chan struct{}
}

// pointBlock is a decoded block, or why there is none.
type pointBlock struct {
	columns *pointColumns
	rows    int
	err     error
}

func startReadAhead(native *nativeReader, wanted columnSet) *readAhead {
	// One block is used and one decoded, so neither channel holds more than one.
	a := &readAhead{
		native: native, wanted: wanted,
		free: make(chan *pointColumns, 1), blocks: make(chan pointBlock, 1), done: make(chan struct{}),
	}
	a.free <- new(pointColumns)
	go a.run()
	return a
}

func (a *readAhead) run() {
	defer close(a.done)
	for columns := range a.free {
		a.native.results = columns.wantedResults(a.wanted)
		rows, err := a.native.next()
		a.blocks <- pointBlock{columns, rows, err}
		if err != nil {
			return
		}
	}
}

// next waits for the next block, and takes the columns of the one that was used.
func (a *readAhead) next(used *pointColumns) pointBlock {
	block := <-a.blocks
	if block.err == nil {
		a.free <- used
	}
	return block
}

// close returns when nothing is read from the result any more. The query must have ended or been cancelled.
func (a *readAhead) close() {
	close(a.free)
	<-a.done
}
