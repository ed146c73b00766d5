package ingest

import (
	"sync"
	"time"
)

// settleTime is how long after a failed insert its rows may still appear where ClickHouse serves. It is the
// bound that a start of the service relies on too when it replays what was received in the last minute.
const settleTime = 2 * statementTimeout

// watermark gives each group the time at which it was received and knows up to which time all groups
// are settled. A reader who goes through the points by when they were received, up to that time and
// no further, never has to look back:
//
//   - Each group has a later time than every group before it, also when the clock is set back, and
//     one group is inserted at a time. So once a group has been inserted, nothing can appear at or
//     before its time but what an insert that failed left behind.
//   - An insert over several months becomes visible month by month, so a group counts when its insert
//     has returned and not when its first rows can be seen.
//   - Rows of an insert that failed may appear for settleTime, or, when its server was stopped and goes on
//     later, for as long after that. So it is in doubt until settleTime after the next insert that succeeds,
//     and everything from its time on is withheld; after it the rows are there, and are found, or never will be.
//   - A new version of a point has the time of its own group; an outlier's mark leaves a point's time
//     as it is, so a mark neither moves a point nor shows it again.
//
// The committer calls its methods; through may be called from anywhere.
type watermark struct {
	mu        sync.Mutex
	last      int64 // the time of the newest group, Unix milliseconds
	settled   int64 // that of the newest group that was inserted
	failures  []failure
	published int64 // the newest answer of through
}

// failure is an insert that failed, or several.
type failure struct {
	from  int64     // the time of the first, Unix milliseconds
	until time.Time // when it is settled; the zero time while no insert has succeeded since
}

// maxFailures bounds the failures that are remembered one by one.
const maxFailures = 64

// begin sets the time of the newest point that is stored. Nothing newer was ever settled, whatever the
// clock has shown meanwhile, so a reader who waits there misses nothing when the clock is set back while
// the service is down. Where others may have left inserts behind, which may have any time up to now, the
// last minute before now is in doubt instead.
func (w *watermark) begin(stored int64, unsettled bool, now time.Time) {
	w.last, w.settled = max(stored, now.UnixMilli()-1), stored
	if unsettled {
		w.settled = w.last
		w.failures = append(w.failures, failure{from: now.Add(-settleTime).UnixMilli(), until: now.Add(settleTime)})
	}
}

// next returns the time of a new group, now when it can be.
func (w *watermark) next(now int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = max(now, w.last+1)
	return w.last
}

// done notes that the group of a time has been inserted.
func (w *watermark) done(stamp int64, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled = stamp
	for i := len(w.failures) - 1; i >= 0 && w.failures[i].until.IsZero(); i-- {
		w.failures[i].until = now.Add(settleTime)
	}
}

// fail notes that the insert of the group of a time failed.
func (w *watermark) fail(stamp int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.failures); n == maxFailures {
		w.failures[n-1].until = time.Time{} // those after the last one count as part of it
		return
	}
	w.failures = append(w.failures, failure{from: stamp})
}

// through returns the time up to which everything is settled. It never decreases.
func (w *watermark) through(now time.Time) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.failures) > 0 && !w.failures[0].until.IsZero() && !now.Before(w.failures[0].until) {
		w.failures = w.failures[1:]
	}
	settled := w.settled
	if len(w.failures) > 0 {
		settled = min(settled, w.failures[0].from-1)
	}
	w.published = max(w.published, settled)
	return w.published
}

// ReceivedThrough returns a time (Unix milliseconds) such that each point that was received by then
// is in ClickHouse or never will be. It never decreases, and after every acknowledgement it covers
// what was acknowledged, but for a minute after the recovery from an insert that failed half way.
func (w *Writer) ReceivedThrough() int64 {
	return w.committer.watermark.through(w.now())
}

// Marked counts how often marks of outliers were written. It has counted one before MarkOutliers returns.
func (w *Writer) Marked() uint64 { return w.committer.marked.Load() }
