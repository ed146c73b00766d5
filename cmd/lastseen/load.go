package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"lastseen/ingest/registry"
	"lastseen/query/latest"
	"lastseen/schema"
)

// beginLoad loads beside what else a start asks of ClickHouse, and returns what waits for the end of it. Of several nodes the first one loads
// when it leads, and gives it to the others.
func beginLoad(ctx context.Context, a *App, lastSeen *latest.Table, registry *registry.Registry) (loaded func() error) {
	lastSeen.SaveWhile(func(ctx context.Context) (bool, error) { return maySave(ctx, a) })
	if a.nodes != nil {
		registry.ShareBy(a.nodes)
		lastSeen.SetRun(a.nodes.process)
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	var loading errgroup.Group
	loading.Go(func() error { return loadMemory(ctx, a, lastSeen, registry) })
	a.onStop("loading", func(context.Context) error {
		cancel()
		_ = loading.Wait() // which who waited for it has said, or why the start failed before
		return nil
	})
	return loading.Wait
}

// loadMemory fills what is kept in memory.
func loadMemory(ctx context.Context, a *App, lastSeen *latest.Table, registry *registry.Registry) error {
	began := time.Now()
	var progress latest.Progress
	devices, sessions, err := a.db.CountRegistered(ctx)
	if err != nil {
		return schema.Failure(err)
	}
	expectRows(devices + sessions)
	registry.Expect(devices, sessions)
	lastSeen.Expect(sessions)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return registry.Load(ctx) })
	group.Go(func() error {
		return lastSeen.Load(ctx, func(p latest.Progress) {
			progress = p
			a.config.log.Info("loading last_seen", "checkpoints", p.Checkpoints, "replayed", p.Replayed)
		})
	})
	if err := group.Wait(); err != nil {
		return err
	}
	a.config.log.Info("loaded", "sessions", lastSeen.Len(), "points_replayed", progress.Replayed, "after", time.Since(began).Round(time.Millisecond).String())
	return nil
}
