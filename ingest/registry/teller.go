package registry

import "lastseen/schema"

// teller tells a watcher of sessions in the order in which they come, while the next ones are being read. A goroutine does
// so until finish, which waits for it.
type teller struct {
	batches chan []schema.Session
	told    chan []schema.Session // batches that can be filled again
	done    chan struct{}
}

// mostBatches is how many batches may wait.
const mostBatches = 4

func startTeller(watcher Watcher) *teller {
	t := &teller{batches: make(chan []schema.Session, mostBatches), told: make(chan []schema.Session, mostBatches+2), done: make(chan struct{})}
	for range cap(t.told) {
		t.told <- make([]schema.Session, 0, loadedAtOnce)
	}
	go func() {
		defer close(t.done)
		for batch := range t.batches {
			watcher.PutSessions(batch)
			t.told <- batch[:0]
		}
	}()
	return t
}

// batch returns an empty batch to fill.
func (t *teller) batch() []schema.Session { return <-t.told }

// tell tells of a batch, which is the teller's from then on.
func (t *teller) tell(batch []schema.Session) { t.batches <- batch }

// finish returns when the watcher knows of all.
func (t *teller) finish() {
	close(t.batches)
	<-t.done
}
