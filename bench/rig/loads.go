package rig

import (
	"context"
	"sync/atomic"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/traffic"
)

// Loads makes loads that are alike, whichever service they are for. One goroutine uses it.
type Loads struct {
	// Connections and Workers are those of the load generator, at least 1 each.
	Connections, Workers int
	// Duration is how long a load is measured, after WarmUp.
	WarmUp, Duration time.Duration
	// CPUs pins the load generator; empty leaves it to the kernel.
	CPUs []int
	// Draws are the sessions that are asked for.
	Draws traffic.Draws

	runs int64 // numbers the loads, so that no two are alike; atomic, since some begin at the same time
}

// Polls is a closed loop of polls of a service, which callers adjust.
func (l *Loads) Polls(on *Service) loadgen.Load {
	return loadgen.Load{
		Target: on.Target, Connections: l.Connections, Workers: l.Workers,
		WarmUp: l.WarmUp, Duration: l.Duration, CPUs: l.CPUs, ServerCPU: on.CPU,
		Source: l.Sources(on.Polls),
	}
}

// Sources starts each worker at another place of the sequence of sessions, and each run anew.
func (l *Loads) Sources(start traffic.Start) func(worker int) loadgen.Source {
	run := int(atomic.AddInt64(&l.runs, 1))
	return func(worker int) loadgen.Source {
		return start(l.Draws, (run*7919+worker*104729)*16%len(l.Draws))
	}
}

// Sweep asks for every session that a load will ask for, once: it warms what the service caches and learns
// the entity tags.
func (l *Loads) Sweep(ctx context.Context, on *Service) error {
	sessions := l.Draws.Distinct()
	polls := traffic.NewPolls(on.Catalogue, on.Host, on.Prefix)
	load := l.Polls(on)
	load.WarmUp, load.Duration = 0, 10*time.Minute
	load.Source = func(worker int) loadgen.Source { return polls.Sweep(sessions, worker, l.Workers) }
	_, err := load.Run(ctx)
	return err
}
