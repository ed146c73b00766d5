package ingest

// Batch is the points of one body, and belongs to one goroutine. Its memory is reused once it is
// released or given to Writer.Ingest: it must not be touched after either.
type Batch struct {
	rejected []Rejection
}

// Rejection says which point of a body was not taken, and why.
type Rejection struct {
	Index  int    `json:"index"`  // the point's place in the body, from 0; blank lines do not count
	Detail string `json:"detail"` // one sentence for the caller
}

// Len returns the number of points that Decode accepted.
func (b *Batch) Len() int {
	return 0
}

// Release gives the memory of a Batch that is not going to be written back.
func (b *Batch) Release() {
}
