package limit

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// eventShare says for which part of the processors' time streams of events may tell what changes while many short
	// requests come: one in so many.
	eventShare = 14
	// manyRequests is how many requests a second and processor are many.
	manyRequests = 1000
	// eventLook is how often the requests are counted.
	eventLook = 100 * time.Millisecond
	// eventDebt is how far all streams together may be ahead of their share: timers are coarse.
	eventDebt = 2 * time.Millisecond
	// longestTurn bounds how long a stream waits for its next turn.
	longestTurn = time.Second
)

// EventPace keeps streams of events from taking the processors away from short requests: while many of these come, all
// streams together get a fourteenth of the processors' time, each its turn when it has waited for what it has told. What
// changes meanwhile a stream tells once. It is safe for concurrent use.
type EventPace struct {
	begun *atomic.Uint64

	mu     sync.Mutex
	free   time.Time // when the share is worth what was told so far
	looked time.Time
	seen   uint64 // requests that had begun then
	many   bool
}

// NewEventPace makes the pace of streams; begun counts all requests that have begun.
func NewEventPace(begun *atomic.Uint64) *EventPace {
	return &EventPace{begun: begun}
}

// Told notes that a stream has spent some time on telling, and returns how long it waits for its next turn.
func (p *EventPace) Told(now time.Time, took time.Duration) (wait time.Duration) {
	processors := runtime.GOMAXPROCS(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	if since := now.Sub(p.looked); since >= eventLook {
		begun := p.begun.Load()
		p.many = float64(begun-p.seen) > manyRequests*float64(processors)*since.Seconds()
		p.looked, p.seen = now, begun
	}
	if !p.many {
		p.free = now
		return 0
	}
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(took * eventShare / time.Duration(processors))
	if wait = p.free.Sub(now); wait < eventDebt {
		return 0
	}
	return min(wait, longestTurn)
}
