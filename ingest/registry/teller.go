package registry

import (
	"runtime"
	"sync"

	"lastseen/schema"
)

// teller tells watchers of sessions while the next ones are being read. All watchers are told of a batch by the same goroutine, one
// after the other: what the first had to fetch from memory the next ones find in the processor's cache.
type teller struct {
	batches chan []schema.Session
	told    chan []schema.Session // batches that can be filled again
	telling sync.WaitGroup
}

// mostTellers is how many goroutines tell watchers: more would mostly wait, for each other or for who reads.
const mostTellers = 4

func startTeller(watcher Watcher) *teller {
	tellers := min(runtime.GOMAXPROCS(0), mostTellers)
	batches := 2*tellers + 2 + loadedAhead // those that are told of, as many that wait, those that were read, one that is taken over and one that is filled
	t := &teller{batches: make(chan []schema.Session, tellers), told: make(chan []schema.Session, batches)}
	for range batches {
		t.told <- make([]schema.Session, 0, loadedAtOnce)
	}
	for range tellers {
		t.telling.Go(func() {
			for batch := range t.batches {
				watcher.PutSessions(batch)
				t.told <- batch[:0]
			}
		})
	}
	return t
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
