package limit

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// paceDebt is how much waiting a stream lets add up before it waits: timers are coarse.
	paceDebt = 2 * time.Millisecond
	// paceShare says for which part of the processors' time streams may produce: one in so many. Half of what a piece
	// costs is producing it, the rest ClickHouse's reading and the kernel's sending.
	paceShare = 6
	// longestPace bounds one wait, so that a stream goes on soon after the others are gone.
	longestPace = 50 * time.Millisecond
)

// Pacer keeps streamed answers from taking the processors away from short requests: while there are
// any, all streams together take no more than a third of the processors' time. It belongs to
// one stream.
type Pacer struct {
	streams *Gate
	begun   *atomic.Uint64
	seen    uint64 // requests that had begun when the last piece was produced
	debt    time.Duration
}

// NewPacer makes the pacer of a stream that has a place in streams; begun counts all requests that have begun.
func NewPacer(streams *Gate, begun *atomic.Uint64) Pacer {
	return Pacer{streams: streams, begun: begun, seen: begun.Load()}
}

// Produced notes that a piece took some time to produce and waits for as long as the stream is ahead
// of its share, at most until ctx ends.
func (p *Pacer) Produced(ctx context.Context, took time.Duration) {
	// How many are in flight would not do: a short one is seldom seen, since it ends before another
	// goroutine of its processor runs.
	begun := p.begun.Load()
	others := begun - p.seen
	p.seen = begun
	ahead := paceShare*p.streams.InUse() - runtime.GOMAXPROCS(0)
	if ahead <= 0 || others == 0 {
		return
	}
	p.debt += took * time.Duration(ahead) / time.Duration(runtime.GOMAXPROCS(0))
	if p.debt < paceDebt {
		return
	}
	wait := time.NewTimer(min(p.debt, longestPace))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done(): // the source notices
	}
	p.debt = 0
}
