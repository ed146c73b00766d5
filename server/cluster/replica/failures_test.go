package replica

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// failure is one thing that goes wrong, and what it may cost at most.
type failure struct {
	name string
	does func(w *world, leader *machine, followers []*machine) (failed []*machine)
	// polls is the longest time in which a node that did not fail serves nothing, acks the longest one without an acknowledgement.
	polls, acks time.Duration
}

var failures = []failure{
	{"the leader is killed", func(_ *world, leader *machine, _ []*machine) []*machine {
		leader.crash()
		return []*machine{leader}
	}, 50 * time.Millisecond, 7500 * time.Millisecond},
	{"the leader is killed and back in a second", func(w *world, leader *machine, _ []*machine) []*machine {
		leader.crash()
		w.at(time.Second, leader.start)
		return []*machine{leader}
	}, 50 * time.Millisecond, 4 * time.Second},
	{"a follower is killed", func(_ *world, _ *machine, followers []*machine) []*machine {
		followers[0].crash()
		return followers[:1]
	}, 50 * time.Millisecond, 3800 * time.Millisecond},
	{"a follower is stopped", func(_ *world, _ *machine, followers []*machine) []*machine {
		followers[0].pause(20 * time.Second)
		return followers[:1]
	}, 50 * time.Millisecond, 3800 * time.Millisecond},
	{"a follower is cut off", func(w *world, _ *machine, followers []*machine) []*machine {
		w.isolate(followers[0].index, 20*time.Second)
		return followers[:1]
	}, 50 * time.Millisecond, 3800 * time.Millisecond},
	{"the leader is stopped", func(_ *world, leader *machine, _ []*machine) []*machine {
		leader.pause(20 * time.Second)
		return []*machine{leader}
	}, 50 * time.Millisecond, 7500 * time.Millisecond},
	{"the leader is cut off", func(w *world, leader *machine, _ []*machine) []*machine {
		w.isolate(leader.index, 20*time.Second)
		return []*machine{leader}
	}, 50 * time.Millisecond, 7500 * time.Millisecond},
	{"both followers are killed", func(_ *world, _ *machine, followers []*machine) []*machine {
		followers[0].crash()
		followers[1].crash()
		return followers
	}, 50 * time.Millisecond, 6 * time.Second},
	{"the register is away for 10 s", func(w *world, _ *machine, _ []*machine) []*machine {
		w.register.up = false
		w.at(10*time.Second, func() { w.register.up = true })
		return nil
	}, 20 * time.Millisecond, 400 * time.Millisecond},
	{"a follower leaves", func(_ *world, _ *machine, followers []*machine) []*machine {
		followers[0].restart(20 * time.Second)
		return followers[:1]
	}, 20 * time.Millisecond, 500 * time.Millisecond},
	{"the leader leaves", func(_ *world, leader *machine, _ []*machine) []*machine {
		leader.restart(20 * time.Second)
		return []*machine{leader}
	}, 50 * time.Millisecond, 800 * time.Millisecond},
	{"all are killed and back in a second", func(w *world, _ *machine, _ []*machine) []*machine {
		for _, m := range w.machines {
			m.crash()
			w.at(time.Second, m.start)
		}
		return nil
	}, 16 * time.Second, 16 * time.Second},
}

// TestWhatAFailureCosts measures the table of docs/nodes.md, by the service's own times.
func TestWhatAFailureCosts(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("simulations are run without the race detector")
	}
	var table strings.Builder
	for _, f := range failures {
		var polls, acks time.Duration
		for seed := range uint64(3) {
			p, a := f.cost(t, seed)
			polls, acks = max(polls, p), max(acks, a)
		}
		fmt.Fprintf(&table, "| %s | %.2f s | %.2f s |\n", f.name, polls.Seconds(), acks.Seconds())
		if polls > f.polls || acks > f.acks {
			t.Errorf("when %s, polls elsewhere pause for %s, more than %s, or acknowledgements for %s, more than %s", f.name, polls, f.polls, acks, f.acks)
		}
	}
	t.Logf("\n%s", table.String())
}

// cost lets it happen once, five seconds after all nodes serve.
func (f failure) cost(t *testing.T, seed uint64) (polls, acks time.Duration) {
	o := simulation{seed: seed, nodes: 3, lasts: 30 * time.Second, perfect: true, timing: DefaultTiming(), trace: os.Getenv("TRACE") == f.name}
	var failed []*machine
	var unserved [3]time.Duration
	var acknowledged int
	var waited time.Duration
	o.script = func(w *world) {
		const every = 5 * time.Millisecond
		var watch func()
		watch = func() {
			w.at(every, watch)
			for i, m := range w.machines {
				if unserved[i] += every; slices.Contains(failed, m) || m.alive() && m.process.mayServe() {
					unserved[i] = 0
				}
				polls = max(polls, unserved[i])
			}
			if waited += every; w.did.acknowledged > acknowledged {
				acknowledged, waited = w.did.acknowledged, 0
			}
			acks = max(acks, waited)
		}
		w.at(2*time.Second, func() {
			w.settled(func(*machine, []*machine) {
				w.at(3*time.Second, func() {
					watch()
					w.settled(func(leader *machine, followers []*machine) { failed = f.does(w, leader, followers) })
				})
			})
		})
	}
	w := newWorld(o)
	w.run()
	if w.bad != "" {
		t.Errorf("when %s: %s", f.name, w.bad)
	}
	return polls, acks
}
