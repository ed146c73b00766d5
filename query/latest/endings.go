package latest

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/schema"
)

// endings are the sessions whose termination is scheduled, by when that is due. They cost about 70 bytes a session.
type endings struct {
	mu     sync.Mutex
	at     map[schema.ID]int64 // Unix milliseconds
	queue  endingQueue         // of what is in at, and of what was
	next   atomic.Int64        // when the first is due; math.MaxInt64 for none
	sooner chan struct{}       // receives when next has become sooner; has room for one
}

type ending struct {
	at int64
	id schema.ID
}

type endingQueue []ending

// Len returns the number of endings.
func (q endingQueue) Len() int { return len(q) }

// Less orders by time.
func (q endingQueue) Less(i, j int) bool { return q[i].at < q[j].at }

// Swap exchanges two.
func (q endingQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push adds one at the end.
func (q *endingQueue) Push(e any) { *q = append(*q, e.(ending)) }

// Pop takes the last one.
func (q *endingQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func newEndings() *endings {
	e := &endings{at: make(map[schema.ID]int64), sooner: make(chan struct{}, 1)}
	e.next.Store(math.MaxInt64)
	return e
}

// schedule takes over when a session will end, 0 for never. The caller holds mu.
func (e *endings) schedule(id schema.ID, at int64) {
	before := e.at[id]
	switch {
	case at == before:
		return
	case at == 0:
		delete(e.at, id)
	default:
		e.at[id] = at
		heap.Push(&e.queue, ending{at, id})
	}
	if len(e.queue) > 2*len(e.at)+64 { // most were cancelled or moved
		e.queue = e.queue[:0]
		for id, at := range e.at {
			e.queue = append(e.queue, ending{at, id})
		}
		heap.Init(&e.queue)
	}
	e.note()
}

// note keeps next true.
func (e *endings) note() {
	next := int64(math.MaxInt64)
	if len(e.queue) > 0 {
		next = e.queue[0].at
	}
	if next < e.next.Swap(next) {
		select {
		case e.sooner <- struct{}{}:
		default:
		}
	}
}

// due takes out a session that has ended by now (Unix milliseconds). The caller holds mu.
func (e *endings) due(now int64) (id schema.ID, ok bool) {
	defer e.note()
	for len(e.queue) > 0 && e.queue[0].at <= now {
		first := heap.Pop(&e.queue).(ending)
		if e.at[first.id] == first.at {
			delete(e.at, first.id)
			return first.id, true
		}
	}
	return schema.ID{}, false
}

// run calls end whenever a session is due, until ctx ends.
func (e *endings) run(ctx context.Context, now func() time.Time, end func()) {
	const longest = time.Hour // after which the clock is looked at again
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.sooner:
		case <-timer.C:
		}
		end()
		wait := longest
		if next := e.next.Load(); next < math.MaxInt64 {
			wait = min(longest, time.UnixMilli(next).Sub(now()))
		}
		timer.Reset(max(wait, time.Millisecond))
	}
}
