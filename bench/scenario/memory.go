package scenario

import (
	"context"
	"sync/atomic"
	"time"

	"lastseen/bench/record"
	"lastseen/bench/rig"
)

// mostPullMemory is how many bytes one pull may add to the service's memory, whatever the format.
const mostPullMemory = 64 << 20

// judgeMemory judges the memory that some pulls at once added.
func judgeMemory(o *record.Outcome, what, figure string, pulls int, grown int64) {
	most := int64(pulls) * mostPullMemory
	o.Judge("resident memory added by "+what, "at most "+record.Mebibytes(most), record.Mebibytes(grown), grown <= most)
	o.Figure(figure, float64(grown))
}

// memoryAdded returns how much memory a service had more, at most, while something was done.
func memoryAdded(ctx context.Context, on *rig.Service, do func() error) (int64, error) {
	before, err := on.Resident()
	if err != nil {
		return 0, err
	}
	var most atomic.Int64
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchMemory(watching, on, &most)
	}()
	err = do()
	stop()
	<-watched
	return max(most.Load()-before, 0), err
}

// watchMemory keeps the most memory that a service has had in most.
func watchMemory(ctx context.Context, on *rig.Service, most *atomic.Int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if now, err := on.Resident(); err == nil && now > most.Load() {
			most.Store(now)
		}
	}
}
