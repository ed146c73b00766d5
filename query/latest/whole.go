package latest

import (
	"context"

	"lastseen/schema"
)

// Checkpoint returns what is known of a session's newest points, and false when there are none.
func (t *Table) Checkpoint(session schema.ID) (schema.Checkpoint, bool) {
	var r record
	if !t.records.get(session, &r) || !r.has(hasPoint) {
		return schema.Checkpoint{}, false
	}
	c := r.checkpoint()
	c.Stale = false
	return c, true
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

// SaveWhile makes the table save its checkpoint only while it may. It is called before Run.
func (t *Table) SaveWhile(may func() bool) { t.saver.may = may }

// WakeAll tells everybody who watches a session to look at it again.
func (t *Table) WakeAll() { t.watches.wakeAll() }
