package replica

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// simulate runs seeds and returns the first whose promises were broken, and what happened in all. It is done by as many
// goroutines as there are processors.
func simulate(o simulation, first, seeds uint64) (broke *world, all statistics) {
	var next atomic.Uint64
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				one := o
				one.seed = first + next.Add(1) - 1
				one.keeps, one.unnamed, one.twice = one.seed%3 == 1, one.unnamed || one.seed%2 == 1, one.twice || one.seed%5 == 0
				mu.Lock()
				done := one.seed >= first+seeds || broke != nil
				mu.Unlock()
				if done {
					return
				}
				w := newWorld(one)
				w.run()
				mu.Lock()
				all.add(w.did)
				if w.bad != "" && (broke == nil || one.seed < broke.options.seed) {
					broke = w
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return broke, all
}

func (s *statistics) add(o statistics) {
	s.acknowledged += o.acknowledged
	s.polls += o.polls
	s.refused += o.refused
	s.stalled += o.stalled
	s.revoked += o.revoked
	s.created += o.created
	s.checks += o.checks
	s.accepted += o.accepted
	s.takeovers += o.takeovers
	s.alone += o.alone
	s.removed += o.removed
	s.joined += o.joined
	s.left += o.left
	s.unserved += o.unserved
	s.repeated += o.repeated
	s.longest, s.recovery = max(s.longest, o.longest), max(s.recovery, o.recovery)
}

// seedsOf is how many seeds the environment asks for: SEEDS, and FIRST to begin with.
func seedsOf(short uint64) (first, seeds uint64) {
	number := func(name string, otherwise uint64) uint64 {
		if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
			return n
		}
		return otherwise
	}
	return number("FIRST", 1), number("SEEDS", short)
}

func TestThePromisesHoldUnderRandomFaults(t *testing.T) {
	for _, o := range []simulation{
		{nodes: 3, lasts: time.Minute, faults: 1},
		{nodes: 2, lasts: time.Minute, faults: 1},
		{nodes: 5, lasts: time.Minute, faults: 1.5},
	} {
		first, seeds := seedsOf(6)
		if raced {
			seeds = 1
		}
		began := time.Now()
		broke, all := simulate(o, first, seeds)
		t.Logf("%d nodes, %d seeds of %s in %.1f s: %+v; served %.1f %% of polls, nobody served for %.1f %% of the time", o.nodes, seeds, o.lasts, time.Since(began).Seconds(), all,
			100*float64(all.polls)/float64(all.polls+all.refused), 100*all.unserved.Seconds()/(float64(seeds)*o.lasts.Seconds()))
		if broke != nil {
			t.Fatalf("seed %d of %d nodes: %s", broke.options.seed, o.nodes, broke.bad)
		}
		if raced {
			continue
		}
		if all.acknowledged == 0 || all.polls == 0 || all.revoked == 0 || all.takeovers == 0 || all.joined == 0 || all.removed == 0 {
			t.Errorf("too little happened: %+v", all)
		}
	}
}

// TestThePromisesHoldWhereLeadersStepDown has leaders asked to do so, beside what else goes wrong.
func TestThePromisesHoldWhereLeadersStepDown(t *testing.T) {
	for _, nodes := range []int{1, 2, 3} {
		first, seeds := seedsOf(4)
		if raced {
			seeds = 1
		}
		broke, all := simulate(simulation{nodes: nodes, lasts: time.Minute, faults: 1, deposes: true}, first, seeds)
		t.Logf("%d nodes, %d seeds: %+v", nodes, seeds, all)
		if broke != nil {
			t.Fatalf("seed %d of %d nodes: %s", broke.options.seed, nodes, broke.bad)
		}
		if !raced && (all.acknowledged == 0 || all.takeovers+all.alone == 0) {
			t.Errorf("too little happened: %+v", all)
		}
	}
}
