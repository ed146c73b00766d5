package latest

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/schema"
)

const (
	// saveChunk bounds the rows of one insert of checkpoints, about 8 MB.
	saveChunk = 100_000
	// saveTimeout bounds a save of the background loop, so that a ClickHouse that hangs is noticed.
	saveTimeout = 30 * time.Second
	// pauseFactor times what a save took is the pause after it: when every session moves, saving costs a
	// fiftieth of a processor and each save stands for many points of a session.
	pauseFactor  = 49
	longestPause = 10 * time.Second // bounds what a start replays
	// failuresToLog is how many saves in a row must fail before the log says so: the first may be what a
	// trouble of ClickHouse is found by, which is logged elsewhere.
	failuresToLog = 2
)

// saver is the state of saving the table to ClickHouse.
type saver struct {
	interval time.Duration
	asked    atomic.Uint64 // calls of Flush so far
	saving   chan struct{} // a lock, which is held by who has put the one element in
	// may reports whether this table is the one that saves, and fails where that cannot be told; nil for always.
	may func(context.Context) (bool, error)

	// Of whoever holds the lock:
	served    uint64 // the calls of Flush that the last good save covers
	version   uint64 // of the last insert
	watermark int64  // of the last insert
}

// take waits until nobody else saves.
func (s *saver) take(ctx context.Context) error {
	select {
	case s.saving <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a save of the last_seen checkpoint to end: %w", context.Cause(ctx))
	}
}

func (s *saver) giveBack() {
	<-s.saving
}

// pause returns the time from the end of a save that took so long to the next one.
func (s *saver) pause(took time.Duration) time.Duration {
	return min(max(s.interval, pauseFactor*took), max(s.interval, longestPause))
}

// Run saves what has changed about once a second until ctx ends, less often where a save takes long; a
// save that fails is tried again with the next one. One goroutine calls it; Flush afterwards saves the
// rest. Meanwhile it notes when sessions end whose termination was scheduled.
func (t *Table) Run(ctx context.Context) {
	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() { t.endings.run(ctx, t.now, t.endDue) })
	timer := time.NewTimer(t.saver.interval)
	defer timer.Stop()
	saved := false
	var failures int // in a row, those left out that a trouble of ClickHouse explains, which is logged elsewhere
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, saveTimeout)
		err := t.Flush(limited)
		cancel()
		timer.Reset(t.saver.pause(time.Since(began)))
		if err == nil && !saved {
			// The start decoded blocks and outgrew maps, and what it replayed was saved at once: as much again as what stays.
			// No later save is like it, and nobody waited for this.
			saved = true
			debug.FreeOSMemory()
		}
		switch {
		case err == nil:
			if failures >= failuresToLog {
				t.log.Info("saving the last_seen checkpoint works again")
			}
			failures = 0
		case ctx.Err() == nil && t.db.Trouble() == nil:
			if failures++; failures == failuresToLog {
				t.log.Warn("saving the last_seen checkpoint fails; it is tried again, and nothing is lost meanwhile", "error", err)
			}
		}
	}
}

// Flush saves what changed before it was called; calls that overlap share one save. Its errors match
// schema.Unavailable, or are that of ctx; what was not saved stays to be saved.
func (t *Table) Flush(ctx context.Context) error {
	ticket := t.saver.asked.Add(1)
	if err := t.saver.take(ctx); err != nil {
		return err
	}
	defer t.saver.giveBack()
	if t.saver.served >= ticket {
		return nil // by a save that began after this call
	}
	if t.saver.may != nil && t.anyDirty() {
		if may, err := t.saver.may(ctx); err != nil || !may {
			return err
		}
	}
	serves := t.saver.asked.Load()
	if err := t.saveDirty(ctx); err != nil {
		return err
	}
	t.saver.served = serves
	return nil
}

// saveDirty saves the sessions that changed since they were last saved. The caller holds the lock.
func (t *Table) saveDirty(ctx context.Context) error {
	// Every point received before this moment is in the table already, or its insert began less
	// than the replay margin ago.
	watermark := t.now().UnixMilli()
	t.mu.Lock()
	taken := t.dirty
	t.dirty = make(map[schema.ID]struct{})
	t.mu.Unlock()
	ids := make([]schema.ID, 0, len(taken))
	for id := range taken {
		ids = append(ids, id)
	}
	unsaved, err := t.save(ctx, ids, watermark)
	if len(ids) > 0 {
		t.counts.save(err)
	}
	if err != nil {
		t.markDirty(unsaved)
	}
	return err
}

func (t *Table) anyDirty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.dirty) > 0
}

func (t *Table) markDirty(ids []schema.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		t.dirty[id] = struct{}{}
	}
}

// save writes the checkpoints of sessions in chunks, of which the last carries the new watermark. On
// an error it returns the sessions that may not have been written. The caller holds the lock.
func (t *Table) save(ctx context.Context, ids []schema.ID, watermark int64) (unsaved []schema.ID, err error) {
	rows := make([]schema.Checkpoint, 0, min(len(ids), saveChunk))
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), saveChunk)]
		rows = rows[:0]
		for _, id := range chunk {
			var r record
			if t.records.get(id, &r) && (r.has(hasPoint) || r.has(isStale)) {
				rows = append(rows, r.checkpoint())
			}
		}
		mark := t.saver.watermark
		if len(chunk) == len(ids) {
			mark = watermark
		}
		// Versions grow also from one run of the service to the next.
		t.saver.version = max(t.saver.version+1, uint64(t.now().UnixMicro()))
		if err := t.db.SaveCheckpoints(ctx, rows, t.saver.version, mark); err != nil {
			return ids, schema.Failure(err)
		}
		t.saver.watermark = mark
		ids = ids[len(chunk):]
	}
	return nil, nil
}

// BeginMark must return before points of some sessions are marked as outliers or unmarked in
// ClickHouse. Until EndMark the checkpoints of these sessions are not believed, so that a crash in
// between cannot leave a marked point on show. Its errors match schema.Unavailable, or are that of ctx;
// nothing has begun then.
func (t *Table) BeginMark(ctx context.Context, sessions []schema.ID) error {
	if err := t.saver.take(ctx); err != nil {
		return err
	}
	defer t.saver.giveBack()
	var begun []schema.ID
	for _, id := range sessions {
		t.records.update(id, func(r *record) {
			if !r.has(isStale) {
				r.set(isStale, true)
				begun = append(begun, id)
			}
		})
	}
	if _, err := t.save(ctx, sessions, t.saver.watermark); err != nil {
		for _, id := range begun {
			t.records.update(id, func(r *record) { r.set(isStale, false) })
		}
		t.markDirty(begun)
		return err
	}
	return nil
}

// EndMark shows what the history says (schema.DB.NewestPoints) after the marks that BeginMark
// announced were written, or failed to be. A session that is missing from checkpoints stays stale,
// which costs the next start a look at its history and nothing else. The checkpoint follows with
// the next save; the error is always nil.
func (t *Table) EndMark(_ context.Context, checkpoints []schema.Checkpoint) error {
	ids := make([]schema.ID, len(checkpoints))
	var wake woken
	for i := range checkpoints {
		c := &checkpoints[i]
		ids[i] = c.Point.SessionID
		var before, after [recordWords]uint64
		ref, e := t.records.update(ids[i], func(r *record) {
			r.set(isStale, false)
			r.pack(&before)
			r.settle(c)
			r.pack(&after)
		})
		if before != after {
			t.changes.moved(ref, e, &wake)
		}
		t.watches.wake(ids[i])
	}
	wake.wake()
	t.markDirty(ids)
	return nil
}

// Merge takes over what another table knows of sessions' newest points: what is newer there, and what was marked. It is EndMark for who
// has not begun.
func (t *Table) Merge(checkpoints []schema.Checkpoint) {
	_ = t.EndMark(context.Background(), checkpoints)
}

// Resume makes this table the one that saves the checkpoint, after another one has: what it saves from then on counts.
func (t *Table) Resume(ctx context.Context) error {
	if err := t.saver.take(ctx); err != nil {
		return err
	}
	defer t.saver.giveBack()
	state, err := t.db.LastSeenState(ctx)
	if err != nil {
		return schema.Failure(err)
	}
	t.saver.version, t.saver.watermark = max(t.saver.version, state.Version), state.Watermark
	return nil
}

// SaveWhile makes the table save its checkpoint only while it may, which is asked before each save and may fail. It is called before Run.
func (t *Table) SaveWhile(may func(context.Context) (bool, error)) { t.saver.may = may }
