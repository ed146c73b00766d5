package main

import (
	"context"
	"strings"
	"sync"

	"lastseen/ingest"
	"lastseen/ingest/registry"
	"lastseen/keys/apikey"
	"lastseen/query/latest"
	"lastseen/schema"
	"lastseen/schema/witness"
	"lastseen/server/cluster/replicated"
	"lastseen/server/problem"
)

// makeWatch makes who notices that ClickHouse is set back to an earlier state, without whom nothing is written any more. The embedded engine
// has its data directory for itself.
func makeWatch(a *App, db *schema.DB) {
	if a.config.schema.ClickHouse == schema.Embedded {
		return
	}
	patience := witness.Patience
	if a.config.schema.Cluster == "" && strings.Contains(a.config.schema.ClickHouse, ",") {
		patience = witness.PatienceWithHosts
	}
	a.watch = witness.New(witness.Config{DB: db, Retention: a.config.schema.Retention, Patience: patience, Log: a.config.log})
	if a.nodes != nil {
		a.nodes.watch = a.watch
	}
	db.TellGone(a.watch.Gone)
	db.GuardWrites(func() error {
		if a.lease != nil {
			if err := a.lease.Held(); err != nil {
				return err
			}
		}
		return a.watch.MayWrite()
	})
}

// sessionWatchers are who is told of every session: the index first, so that nobody may see a session that it does not know.
func sessionWatchers(a *App, watchers ...registry.Watcher) registry.Watchers {
	if a.watch != nil {
		watchers = append(watchers, a.watch)
	}
	return watchers
}

// beginWatch begins to look whether ClickHouse has what it must have, of which received says when the newest point was.
func beginWatch(ctx context.Context, a *App, keys apikey.RevocationChannel, received int64) error {
	if a.watch == nil {
		return nil
	}
	unsubscribe := keys.Subscribe(func(_ context.Context, notice apikey.Notice) error {
		if notice.Kind == apikey.NoticeRevoked {
			a.watch.Revoked(notice.Hash)
		}
		return nil
	})
	a.onStop("looking whether ClickHouse was set back", func(context.Context) error {
		unsubscribe()
		a.watch.Close()
		return nil
	})
	return a.watch.Begin(ctx, received)
}

// wasSetBack reports whether ClickHouse was set back to an earlier state.
func wasSetBack(a *App) bool { return a.watch != nil && a.watch.WasSetBack() }

// watchSetBack refuses everything once ClickHouse was set back. One of several nodes leaves the others, to whom it could only give what
// ClickHouse does not have; they find out by themselves.
func watchSetBack(a *App, lastSeen *latest.Table) {
	if a.watch == nil {
		return
	}
	stopping, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-a.watch.SetBack():
		case <-stopping.Done():
			return
		}
		a.server.Refuse(problem.StoreSetBack)
		lastSeen.WakeAll()
		if a.nodes == nil {
			return
		}
		ctx, cancel := context.WithTimeout(stopping, leaveTimeout)
		defer cancel()
		if err := a.nodes.member.Load().Leave(ctx); err != nil && stopping.Err() == nil {
			a.config.log.Warn("the other nodes find out by this one's silence that it has left", "error", err)
		}
	})
	a.onStop("watching whether ClickHouse was set back", func(context.Context) error {
		stop()
		watching.Wait()
		return nil
	})
}

// maySave reports whether this process saves the checkpoint of last_seen: what ClickHouse does not have must not get there by it.
func maySave(ctx context.Context, a *App) (bool, error) {
	if wasSetBack(a) || a.nodes != nil && !a.nodes.Leads() {
		return false, nil
	}
	if a.watch == nil {
		return true, nil
	}
	if err := a.watch.Verify(ctx); err != nil {
		return false, schema.Failure(err)
	}
	return true, nil
}

// witnessed are an ingest.Notices that takes up which points are stored.
type witnessed struct {
	ingest.Notices
	watch *witness.Watch
}

// Publish implements ingest.Notices.
func (w witnessed) Publish(points []schema.OwnedPoint) error {
	w.watch.Points(points)
	return w.Notices.Publish(points)
}

// told is who a node tells which points are stored; nil for nobody.
func told(a *App) replicated.Told {
	if a.watch == nil {
		return nil
	}
	return a.watch
}
