package replicated

import (
	"context"
	"time"
)

// settleEvery is how often the leader looks whether the others must be told how far the feed goes.
const settleEvery = time.Second

// Settle tells the other nodes how far the feed goes while this one leads, until ctx ends. Points say so too, but what a new
// leader withholds for a minute is settled by time alone, and there may be no point after that.
func (s *State) Settle(ctx context.Context) {
	every(ctx, settleEvery, func() {
		if _, err := s.node.Lead(); err != nil {
			return
		}
		if through := s.parts.Writer.ReceivedThrough(); through > s.told.Load() {
			if err := s.share(ctx, pointsChange(nil, through)); err != nil {
				s.parts.Log.Debug("how far the feed goes is told later", "error", err)
			}
		}
	})
}

// every does something each time that an interval has passed, until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do()
		case <-ctx.Done():
			return
		}
	}
}
