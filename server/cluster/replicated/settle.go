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
	ticker := time.NewTicker(settleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if _, err := s.node.Lead(); err != nil {
			continue
		}
		if through := s.parts.Writer.ReceivedThrough(); through > s.told.Load() {
			if err := s.share(ctx, pointsChange(nil, through)); err != nil {
				s.parts.Log.Debug("how far the feed goes is told later", "error", err)
			}
		}
	}
}
