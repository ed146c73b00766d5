package apikey

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/keys/ratelimit"
	"lastseen/schema"
)

// lookUp is one key that ClickHouse is to be asked for, and whoever waits to be told. All but done, key
// and err is guarded by loadQueue.mu; key and err are written before done is closed.
type lookUp struct {
	hash    schema.KeyHash
	waiters int
	begun   bool // it is in a batch

	done chan struct{}
	key  *cachedKey
	err  error
}

// loadQueue gathers the keys that are to be looked up and gives them out in batches: whatever has been
// missed while a look-up had no turn goes into the next one. It bounds how many keys wait, how many
// look-ups run and how often one begins. It is safe for concurrent use.
type loadQueue struct {
	load func(batch []*lookUp) // looks a batch up and ends each of its keys by end

	slots   chan struct{} // one element for each batch that runs
	waiting int           // keys, at most
	batch   int           // keys of one look-up, at most

	rate   ratelimit.Rate
	bucket ratelimit.Bucket
	now    func() time.Time

	begun, asked, failed, refused, late atomic.Uint64
	throttled                           atomic.Bool // the next batch waits for the rate

	mu     sync.Mutex
	closed bool
	queue  []*lookUp                  // those not begun
	open   map[schema.KeyHash]*lookUp // whom the next who ask for a key can join
	more   chan struct{}              // holds an element when the queue may have got its first key

	running sync.WaitGroup // the dispatcher and the batches
}

var (
	errClosed  = errors.New("the authenticator is closed")
	errTooMany = errors.New("too many look-ups of keys are waiting")
	errTooLate = errors.New("no turn to look up the key came in time")
)

// start begins to give out batches, until close. closing ends when close is about to be called.
func (q *loadQueue) start(closing context.Context, load func([]*lookUp)) {
	q.load = load
	q.open, q.more = make(map[schema.KeyHash]*lookUp), make(chan struct{}, 1)
	q.running.Go(func() { q.dispatch(closing) })
}

// join asks for a key on behalf of one more waiter, who must leave unless done gets closed. It fails
// with schema.Unavailable when too many keys wait.
func (q *loadQueue) join(hash schema.KeyHash) (*lookUp, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, schema.Unavailable.Because(errClosed)
	}
	if l := q.open[hash]; l != nil {
		l.waiters++
		return l, nil
	}
	if len(q.queue) >= q.waiting {
		q.refused.Add(1)
		return nil, schema.Unavailable.Because(errTooMany)
	}
	l := &lookUp{hash: hash, waiters: 1, done: make(chan struct{})}
	q.open[hash] = l
	q.queue = append(q.queue, l)
	select {
	case q.more <- struct{}{}:
	default:
	}
	return l, nil
}

// leave is a waiter's goodbye. A key that nobody waits for is not asked for.
func (q *loadQueue) leave(l *lookUp) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop(l)
}

// giveUp is leave for a waiter who has waited long enough for a batch to begin. It reports false, and
// does nothing, when it has begun.
func (q *loadQueue) giveUp(l *lookUp) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.begun {
		return false
	}
	q.drop(l)
	q.refused.Add(1)
	if q.throttled.Load() {
		q.late.Add(1)
	}
	return true
}

// drop takes one waiter from a key. The caller holds mu.
func (q *loadQueue) drop(l *lookUp) {
	if l.waiters--; l.waiters > 0 || l.begun {
		return
	}
	if i := slices.Index(q.queue, l); i >= 0 {
		q.queue = slices.Delete(q.queue, i, i+1)
	}
	if q.open[l.hash] == l {
		delete(q.open, l.hash)
	}
}

// forget lets nobody join the look-up of a key that has begun.
func (q *loadQueue) forget(hash schema.KeyHash) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.open[hash]; l != nil && l.begun {
		delete(q.open, hash)
	}
}

// forgetAll lets nobody join the look-ups that have begun.
func (q *loadQueue) forgetAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for hash, l := range q.open {
		if l.begun {
			delete(q.open, hash)
		}
	}
}

// dispatch begins a batch whenever keys wait, a slot is free and the rate allows it, in this order:
// so that the last of these gathers as many keys as possible.
func (q *loadQueue) dispatch(closing context.Context) {
	for {
		select {
		case <-q.more:
		case <-closing.Done():
			return
		}
		for q.hasWaiting() {
			select {
			case q.slots <- struct{}{}:
			case <-closing.Done():
				return
			}
			if !q.takeTurn(closing) {
				return
			}
			batch := q.take()
			if len(batch) == 0 { // all have left meanwhile
				<-q.slots
				break
			}
			q.begun.Add(1)
			q.asked.Add(uint64(len(batch)))
			q.running.Go(func() {
				defer func() { <-q.slots }()
				q.load(batch)
			})
		}
	}
}

func (q *loadQueue) hasWaiting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue) > 0
}

// takeTurn waits until the rate lets a look-up begin, and reports false when it is closed before.
func (q *loadQueue) takeTurn(closing context.Context) bool {
	if !q.rate.Limits() {
		return true
	}
	delay := q.bucket.Reserve(q.rate, q.now(), math.MaxInt64)
	if delay == 0 {
		return true
	}
	q.throttled.Store(true)
	defer q.throttled.Store(false)
	turn := time.NewTimer(delay)
	defer turn.Stop()
	select {
	case <-turn.C:
		return true
	case <-closing.Done():
		return false
	}
}

// take takes the keys of a batch, those first that have waited longest.
func (q *loadQueue) take() []*lookUp {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.queue), q.batch)
	batch := slices.Clone(q.queue[:n])
	q.queue = slices.Delete(q.queue, 0, n)
	for _, l := range batch {
		l.begun = true
	}
	return batch
}

// end tells whoever waits for the keys of a batch, whose key and err are set, and lets nobody join.
func (q *loadQueue) end(batch []*lookUp) {
	q.mu.Lock()
	for _, l := range batch {
		if q.open[l.hash] == l {
			delete(q.open, l.hash)
		}
	}
	q.mu.Unlock()
	for _, l := range batch {
		close(l.done)
	}
}

// counts returns how many keys wait and how many batches run.
func (q *loadQueue) counts() (waiting, running int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue), len(q.slots)
}

// close refuses keys from now on, waits for the batches that run and refuses the keys that wait. The
// context given to start has ended.
func (q *loadQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.running.Wait()
	for batch := q.take(); len(batch) > 0; batch = q.take() {
		for _, l := range batch {
			l.err = schema.Unavailable.Because(errClosed)
		}
		q.end(batch)
	}
}
