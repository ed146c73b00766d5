package main

import (
	"context"
	"sync"
	"time"
)

// every does something again and again until the service stops, which waits for it. What fails is logged.
func every(a *App, interval time.Duration, what string, do func(context.Context) error) {
	after(a, interval, interval, what, do)
}

// after is every whose first time comes after another one.
func after(a *App, first, interval time.Duration, what string, do func(context.Context) error) {
	running, stop := context.WithCancel(context.Background())
	var doing sync.WaitGroup
	doing.Go(func() {
		again := time.NewTimer(first)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				again.Reset(interval)
			case <-running.Done():
				return
			}
			if err := do(running); err != nil && running.Err() == nil {
				a.config.log.Warn("could not "+what, "error", err)
			}
		}
	})
	a.onStop("to "+what, func(context.Context) error {
		stop()
		doing.Wait()
		return nil
	})
}

const (
	// expiringInterval is the time between two counts of the keys that expire soon.
	expiringInterval = 10 * time.Minute
	// expiringTimeout bounds one count.
	expiringTimeout = time.Minute
)

// countExpiring counts the keys that expire soon, for the metrics, at once and now and then.
func countExpiring(ctx context.Context, a *App, count func(context.Context) error) {
	bounded := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, expiringTimeout)
		defer cancel()
		return count(ctx)
	}
	if err := bounded(ctx); err != nil {
		a.config.log.Warn("could not count the keys that expire soon", "error", err)
	}
	every(a, expiringInterval, "count the keys that expire soon", bounded)
}
