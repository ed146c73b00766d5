package ingest

import (
	"sync"
	"time"
)

// settleTime is how long after a failed insert its rows may still appear where ClickHouse serves. It is the
// bound that a start of the service relies on too when it replays what was received in the last minute.
const settleTime = 2 * statementTimeout

// receipts gives each group the time at which it was received and knows up to which time all groups
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
type receipts struct {
	mu        sync.Mutex
	last      int64 // the time of the newest group, Unix milliseconds
	settled   int64 // that of the newest group that was inserted
	doubts    []doubt
	published int64 // the newest answer of through
}

// doubt is an insert that failed, or several.
type doubt struct {
	from  int64     // the time of the first, Unix milliseconds
	until time.Time // when it is settled; the zero time while no insert has succeeded since
}

// maxDoubts bounds the failures that are remembered one by one.
const maxDoubts = 64

// begin sets the time of the newest point that is stored. Nothing newer was ever settled, whatever the
// clock has shown meanwhile, so a reader who waits there misses nothing when the clock is set back while
// the service is down. Where others may have left inserts behind, which may have any time up to now, the
// last minute before now is in doubt instead.
func (r *receipts) begin(stored int64, unsettled bool, now time.Time) {
	r.last, r.settled = max(stored, now.UnixMilli()-1), stored
	if unsettled {
		r.settled = r.last
		r.doubts = append(r.doubts, doubt{from: now.Add(-settleTime).UnixMilli(), until: now.Add(settleTime)})
	}
}

// next returns the time of a new group, now when it can be.
func (r *receipts) next(now int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = max(now, r.last+1)
	return r.last
}

// done notes that the group of a time has been inserted.
func (r *receipts) done(stamp int64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = stamp
	for i := len(r.doubts) - 1; i >= 0 && r.doubts[i].until.IsZero(); i-- {
		r.doubts[i].until = now.Add(settleTime)
	}
}

// fail notes that the insert of the group of a time failed.
func (r *receipts) fail(stamp int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.doubts); n == maxDoubts {
		r.doubts[n-1].until = time.Time{} // those after the last one count as part of it
		return
	}
	r.doubts = append(r.doubts, doubt{from: stamp})
}

// through returns the time up to which everything is settled. It never decreases.
func (r *receipts) through(now time.Time) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.doubts) > 0 && !r.doubts[0].until.IsZero() && !now.Before(r.doubts[0].until) {
		r.doubts = r.doubts[1:]
	}
	settled := r.settled
	if len(r.doubts) > 0 {
		settled = min(settled, r.doubts[0].from-1)
	}
	r.published = max(r.published, settled)
	return r.published
}

// ReceivedThrough returns a time (Unix milliseconds) such that each point that was received by then
// is in ClickHouse or never will be. It never decreases, and after every acknowledgement it covers
// what was acknowledged, but for a minute after the recovery from an insert that failed half way.
func (w *Writer) ReceivedThrough() int64 {
	return w.committer.receipts.through(w.now())
}
