package registry

import (
	"sync"

	"lastseen/schema"
)

// teller tells watchers of sessions in the order in which they come, while the next ones are being read: one after the other of each
// batch, side by side of different ones. A goroutine for each watcher does so until finish, which waits for them.
type teller struct {
	batches chan []schema.Session
	told    chan []schema.Session // batches that can be filled again
	telling sync.WaitGroup
}

// mostBatches is how many batches may wait for a watcher.
const mostBatches = 4

func startTeller(watcher Watcher) *teller {
	watchers, several := watcher.(Watchers)
	if !several || len(watchers) == 0 {
		watchers = Watchers{watcher}
	}
	batches := (mostBatches+1)*len(watchers) + 1 // and one that is filled
	t := &teller{batches: make(chan []schema.Session, mostBatches), told: make(chan []schema.Session, batches)}
	for range batches {
		t.told <- make([]schema.Session, 0, loadedAtOnce)
	}
	next := t.batches
	for i, w := range watchers {
		from, to := next, t.told
		if i < len(watchers)-1 {
			to = make(chan []schema.Session, mostBatches)
		}
		t.telling.Go(func() { tellEach(w, from, to, to != t.told) })
		next = to
	}
	return t
}

// tellEach tells a watcher of batches until there are no more, and hands each on. A last watcher empties them.
func tellEach(w Watcher, from <-chan []schema.Session, to chan<- []schema.Session, further bool) {
	if further {
		defer close(to)
	}
	for batch := range from {
		w.PutSessions(batch)
		if !further {
			batch = batch[:0]
		}
		to <- batch
	}
}

// batch returns an empty batch to fill.
func (t *teller) batch() []schema.Session { return <-t.told }

// tell tells of a batch, which is the teller's from then on.
func (t *teller) tell(batch []schema.Session) { t.batches <- batch }

// finish returns when the watchers know of all.
func (t *teller) finish() {
	close(t.batches)
	t.telling.Wait()
}
