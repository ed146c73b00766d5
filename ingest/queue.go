package ingest

import (
	"sync"
	"time"

	"lastseen/ingest/decode"
)

// DefaultQueue is how many points may wait for the next insert unless a Writer's options say otherwise.
// It is what an insert takes in about the time of its fixed costs, fsync above all.
const DefaultQueue = 10_000

const (
	// burstTime is how long the queue may be longer than its limit before it counts as overload: until
	// then as many points may wait as the largest group takes.
	burstTime = 250 * time.Millisecond
	// largestShare is the part of the limit for which one request counts at most, so that large bodies
	// do not shut each other out.
	largestShare = 8
	// keptShare is the part of the limit that is kept for the organisations that use less than an
	// eighth of it.
	keptShare = 4
	// burstPoints is how many points may wait in a burst.
	burstPoints = 100_000
)

// queue is what waits for the committer. It bounds the time to wait rather than the memory, which is the
// budget's: a request that is taken waits for the insert that runs and for those before it in the next
// one, so that a bound on the points in the queue is one on the time. Who comes when it is full is
// refused at once.
type queue struct {
	limit int              // points
	now   func() time.Time // time.Now, but in tests

	mu       sync.Mutex
	arrived  []*request     // that the committer has not seen yet
	requests int            // how many are in the queue, with those that the committer has seen and not begun
	load     int            // what the requests count for
	byOrg    map[string]int // the same by organisation
	calmAt   time.Time      // when the committer last found at most half the limit, or nothing
	idle     bool           // the committer found nothing
	closed   bool
	refused  uint64
	underway *decode.Underway // counts what is read since the last group ended
}

func newQueue(limit int, now func() time.Time) *queue {
	if limit <= 0 {
		limit = DefaultQueue
	}
	return &queue{limit: limit, now: now, byOrg: make(map[string]int), calmAt: now(), underway: new(decode.Underway)}
}

// weight is what a request of so many points counts for.
func (q *queue) weight(points int) int {
	return max(1, min(points, q.limit/largestShare))
}

// open reports whether a request of an organisation would be taken now.
func (q *queue) open(orgID string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.takes(orgID)
}

// takes reports whether there is room, and counts a refusal when not. An empty queue takes everything.
// The caller holds the lock.
func (q *queue) takes(orgID string) bool {
	switch {
	case q.closed:
		return false
	case q.load == 0:
		return true
	}
	limit := q.limit
	if q.now().Sub(q.calmAt) < burstTime {
		limit = max(limit, burstPoints)
	}
	if q.byOrg[orgID] >= limit/largestShare {
		limit -= limit / keptShare
	}
	if q.load < limit {
		return true
	}
	q.refused++
	return false
}

// add takes a request, and reports false when there is no room for it.
func (q *queue) add(r *request, points int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.takes(r.orgID) {
		return false
	}
	if q.idle {
		q.idle, q.calmAt = false, q.now()
	}
	weight := q.weight(points)
	q.load += weight
	q.byOrg[r.orgID] += weight
	r.weight = weight
	q.requests++
	q.arrived = append(q.arrived, r)
	if r.batch != nil {
		r.batch.Arrived()
	}
	return true
}

// reading returns what counts a body that is about to be read.
func (q *queue) reading() *decode.Underway {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.underway
}

// grouped notes that a group is over. Bodies that are still being read are slow: nobody waits for them any more.
func (q *queue) grouped() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.underway = new(decode.Underway)
}

// take moves what has arrived to the end of arrived, and returns how many bodies are being read and whether the queue
// is closed. What has arrived goes on counting until leave.
func (q *queue) take(arrived []*request) (taken []*request, reading int, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.idle = q.requests == 0
	arrived = append(arrived, q.arrived...)
	clear(q.arrived)
	q.arrived = q.arrived[:0]
	return arrived, q.underway.Bodies(), q.closed
}

// leave counts requests no more: they are written now, or wait elsewhere.
func (q *queue) leave(requests ...*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.load <= q.limit/2 {
		q.calmAt = q.now()
	}
	for _, r := range requests {
		q.requests--
		q.load -= r.weight
		if q.byOrg[r.orgID] -= r.weight; q.byOrg[r.orgID] == 0 {
			delete(q.byOrg, r.orgID)
		}
	}
}

// weightOf returns what requests of the queue count for.
func weightOf(group []*request) (load int) {
	for _, r := range group {
		load += r.weight
	}
	return load
}

// refuse counts a request that was turned away after all.
func (q *queue) refuse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refused++
}

// close makes the queue take nothing more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// stats returns how many requests and points' worth of them wait, and how many were refused.
func (q *queue) stats() (waiting, load int, refused uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.requests, q.load, q.refused
}
