package registry

import "lastseen/schema"

// teller tells a watcher of sessions in the order in which they come, while the next ones are being read. A goroutine does
// so until finish, which waits for it.
type teller struct {
	sessions []schema.Session // of the batch that is being filled
	batches  chan []schema.Session
	done     chan struct{}
}

const (
	toldAtOnce  = 256
	mostBatches = 4 // that wait
)

func startTeller(watcher Watcher) *teller {
	t := &teller{batches: make(chan []schema.Session, mostBatches), done: make(chan struct{})}
	go func() {
		defer close(t.done)
		for batch := range t.batches {
			for _, s := range batch {
				watcher.PutSession(s)
			}
		}
	}()
	return t
}

func (t *teller) tell(s schema.Session) {
	t.sessions = append(t.sessions, s)
	if len(t.sessions) == toldAtOnce {
		t.batches <- t.sessions
		t.sessions = make([]schema.Session, 0, toldAtOnce)
	}
}

// finish returns when the watcher knows of all.
func (t *teller) finish() {
	t.batches <- t.sessions
	close(t.batches)
	<-t.done
}
