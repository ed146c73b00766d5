package ingest

// beginning is the state in which the committer is to go on.
type beginning struct {
	received int64
	done     chan struct{}
}

// Begin makes the Writer forget what it knows of what is stored beyond what its Newest tells: another process has written meanwhile, has
// ended, and may have left inserts behind that ClickHouse goes on with. receivedThrough is as in WriterOptions. It returns when what is
// written from then on is written so.
func (w *Writer) Begin(receivedThrough int64) {
	b := &beginning{receivedThrough, make(chan struct{})}
	w.beginning.Store(b)
	w.wakeUp()
	select {
	case <-b.done:
	case <-w.stopped:
	}
}
