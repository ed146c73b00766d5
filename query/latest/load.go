package latest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lastseen/schema"
)

// replayMargin is how long before the watermark the replay begins. A point gets its time of receipt
// before its insert, which may take half a minute, and enters the table after it; so a save between
// the two does not have it.
const replayMargin = time.Minute

// Progress says how far Load has come, in rows.
type Progress struct {
	Checkpoints int
	Replayed    int // data points received since the checkpoint
	Recomputed  int // stale sessions, whose newest points were asked of the history
}

// progressStep is how many rows pass from one report of progress to the next.
const progressStep = 100_000

// loader is one run of Load.
type loader struct {
	*Table
	done   Progress
	report func(Progress)
	stale  map[schema.ID]struct{} // sessions whose checkpoint must not be believed
}

func (l *loader) step(counter *int) {
	if *counter++; *counter%progressStep == 0 && l.report != nil {
		l.report(l.done)
	}
}

// Expect says how many sessions the next Load will find, which has it not count them itself.
func (t *Table) Expect(sessions int) { t.expected = sessions }

// Load fills the table from ClickHouse: the checkpoints of the sessions, and the points received
// since. Which sessions there are it is told by PutSession, meanwhile or before. It must return before anything
// else is called but that and look-ups, which find what is loaded so far. progress may be nil; it is called every
// 100,000 rows and at the end. After an error, which
// matches schema.Unavailable, Load may be called again.
func (t *Table) Load(ctx context.Context, progress func(Progress)) error {
	began := time.Now()
	t.changes.filling.Store(true)
	defer t.changes.filling.Store(false) // after an error too: what is put then is logged when it comes
	l := &loader{Table: t, report: progress, stale: make(map[schema.ID]struct{})}
	for _, stage := range []func(context.Context) error{l.checkpoints, l.replay, l.recompute} {
		if err := stage(ctx); err != nil {
			return fmt.Errorf("load the last_seen table: %w", schema.Failure(err))
		}
	}
	t.changes.fill()
	if progress != nil {
		progress(l.done)
	}
	t.counts.loaded.Store(&loaded{l.done, time.Since(began)})
	return nil
}

func (l *loader) checkpoints(ctx context.Context) error {
	// The state is read before the rows, so that a save by a process that is still on its way out
	// cannot raise the watermark above what is loaded.
	state, err := l.db.LastSeenState(ctx)
	if err != nil {
		return err
	}
	l.saver.version, l.saver.watermark = state.Version, state.Watermark
	sessions := l.expected
	l.expected = 0 // said of this load only
	if sessions == 0 {
		if _, sessions, err = l.db.CountRegistered(ctx); err != nil {
			return err
		}
	}
	l.records.expect(sessions)
	batch := make([]schema.Checkpoint, 0, prefetchLen)
	err = l.db.LoadCheckpoints(ctx, func(c schema.Checkpoint) {
		if batch = append(batch, c); len(batch) == prefetchLen {
			l.take(batch)
			batch = batch[:0]
		}
	})
	l.take(batch)
	return err
}

// take takes over up to prefetchLen checkpoints.
func (l *loader) take(batch []schema.Checkpoint) {
	var ids [prefetchLen]schema.ID
	for i := range batch {
		ids[i] = batch[i].Point.SessionID
	}
	var at located
	l.records.prefetch(ids[:len(batch)], &at)
	for i := range batch {
		c := &batch[i]
		if c.Stale {
			l.stale[c.Point.SessionID] = struct{}{}
		}
		l.records.updateHashed(c.Point.SessionID, at.hashes[i], func(r *record) {
			if c.Stale {
				r.set(isStale, true)
				return
			}
			r.publish(&c.Point)
			r.newest = max(r.newest, c.NewestTimestamp)
		})
		l.step(&l.done.Checkpoints)
	}
}

func (l *loader) replay(ctx context.Context) error {
	// A clock that was set back since the save must not hide what was received after it.
	since := min(l.saver.watermark, l.now().UnixMilli()) - replayMargin.Milliseconds()
	reader, err := l.db.ReadReceivedSince(ctx, max(since, 0))
	if err != nil {
		return err
	}
	defer reader.Close()
	batch := make([]schema.DataPoint, 0, prefetchLen)
	for reader.Next() {
		if batch = append(batch, *reader.Point()); len(batch) == prefetchLen {
			l.takePoints(batch)
			batch = batch[:0]
		}
	}
	l.takePoints(batch)
	return reader.Err()
}

// takePoints takes over up to prefetchLen points, those of one session one after the other.
func (l *loader) takePoints(batch []schema.DataPoint) {
	var ids [prefetchLen]schema.ID
	for i := range batch {
		ids[i] = batch[i].SessionID
	}
	var at located
	l.records.prefetch(ids[:len(batch)], &at)
	for i := range batch {
		p := &batch[i]
		l.records.updateHashed(p.SessionID, at.hashes[i], func(r *record) {
			r.publish(p)
			if r.has(isStale) {
				l.stale[p.SessionID] = struct{}{}
			}
		})
		l.step(&l.done.Replayed)
	}
	l.markDirty(slices.Compact(ids[:len(batch)]))
}

// recomputeChunk is how many sessions' newest points are asked of the history at a time.
const recomputeChunk = 1000

func (l *loader) recompute(ctx context.Context) error {
	ids := make([]schema.ID, 0, len(l.stale))
	for id := range l.stale {
		ids = append(ids, id)
	}
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), recomputeChunk)]
		ids = ids[len(chunk):]
		newest, err := l.db.NewestPoints(ctx, chunk)
		if err != nil {
			return err
		}
		for i := range newest {
			c := &newest[i]
			l.records.update(c.Point.SessionID, func(r *record) { r.settle(c) })
		}
		// A session without points has nothing that could be stale.
		for _, id := range chunk {
			l.records.update(id, func(r *record) { r.set(isStale, false) })
		}
		l.markDirty(chunk)
		l.done.Recomputed += len(chunk)
	}
	return nil
}
