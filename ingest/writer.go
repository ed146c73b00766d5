package ingest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema"
)

// WriterOptions tune a Writer. The zero value is good.
type WriterOptions struct {
	// Budget bounds the bytes in flight; nil means a new one of DefaultBudget bytes.
	Budget *decode.Budget
	// Queue is how many points may wait for the next insert once there is more to write than can be
	// written; 0 means DefaultQueue. A request counts for at most an eighth of it.
	Queue int
	// Interval is the least time between the starts of two small inserts; 0 means DefaultInterval and
	// less than 0 none. What arrives meanwhile shares the next insert.
	Interval time.Duration
	// Retention is how long ClickHouse keeps points after their timestamp, in whole days; 0 means for
	// ever. Older points are rejected, since they would be acknowledged and then lost.
	Retention time.Duration
	// ClockAhead is how far ahead of the clock a point's timestamp may lie; 0 means DefaultClockAhead.
	ClockAhead time.Duration
	// FlagOutliers says whether points that cannot be true are flagged in sessions that do not say so themselves.
	FlagOutliers bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// ReceivedThrough is the newest time (Unix milliseconds) at which a point that is stored was
	// received; see schema.PointTable.NewestReceipt. What the Writer writes is received later. 0 means none.
	ReceivedThrough int64
	// limits bound the steps of the committer; the zero value means defaultLimits.
	limits limits
	// Unsettled says that another process, which has ended, may have left inserts behind that
	// ClickHouse goes on with: ReceivedThrough does not count until they are through.
	Unsettled bool
}

// DefaultClockAhead is how far ahead of the clock timestamps may lie unless a Writer's options say otherwise.
const DefaultClockAhead = time.Minute

// The sentences of rejections that the Writer adds.
const (
	detailAfterEnd = "The session ended before this timestamp: create a new session."
	detailRollover = "timestamp lies 1,024 weeks back to the day, as those of receivers do whose count of weeks began again: correct it by that much."
	detailExpired  = "timestamp lies further back than the %d days for which this service keeps points: the point would be dropped again." // of each writer, with its days
	detailFuture   = "timestamp lies further in the future than this service accepts: set the device's clock."
)

// Result is what became of a batch.
type Result struct {
	Accepted int                `json:"accepted"`       // points that are now stored, newly or from before
	Rejected []decode.Rejection `json:"rejected"`       // by ascending index, never nil
	Replaced int                `json:"replaced"`       // points that took the place of another of their session and timestamp with other values
	Dropped  int                `json:"dropped_values"` // optional values of accepted points that were out of range or said "unknown"
}

// MaxMarks is the number of points that one call of MarkOutliers may name.
const MaxMarks = 10_000

// Writer writes points to ClickHouse in groups: what arrives while an insert runs shares the next
// one. It is safe for concurrent use.
type Writer struct {
	directory Directory
	budget    *decode.Budget
	now       func() time.Time
	retained  int64  // milliseconds for which points are kept; 0 for ever
	expired   string // why an older one is rejected
	ahead     int64  // milliseconds by which a timestamp may be ahead of the clock

	queue     *queue
	wake      chan struct{}             // has room for one
	stopped   chan struct{}             // closed when the committer has ended
	beginning atomic.Pointer[beginning] // that the committer is to make; nil for none
	committer committer
	lanes     lanes
}

// request is a batch, or marks, that wait for the committer.
type request struct {
	ctx    context.Context // of who waits
	orgID  string
	batch  *decode.Batch // its points' targets are resolved; nil for marks
	marks  *marks
	bytes  int64      // of the budget, beside the batch's own
	weight int        // in the queue
	done   chan error // has room for one

	// The committer's, from when it is submitted until it is answered.
	rest     []decode.Point // what is not written yet
	arranged bool           // the rest is
	months   int            // before usualFrom that it lies in, once it is arranged
	reviews  int            // of how many sessions the neighbours of late points are read, as far as is known
	cost     time.Duration  // to write the rest, about
	weighed  uint64         // the committer's step before which the cost was so
	begun    bool           // a slice of it is written
	replaced int            // how many of its points took the place of another
}

// NewWriter returns a Writer that runs until Close. What directory and newest tell of must be loaded.
func NewWriter(db *schema.DB, directory Directory, newest Newest, notices Notices, options WriterOptions) *Writer {
	return newWriter(storeIn(db), directory, newest, notices, options)
}

func newWriter(store store, directory Directory, newest Newest, notices Notices, options WriterOptions) *Writer {
	if options.Budget == nil {
		options.Budget = decode.NewBudget(decode.DefaultBudget)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Interval == 0 {
		options.Interval = DefaultInterval
	}
	if options.ClockAhead == 0 {
		options.ClockAhead = DefaultClockAhead
	}
	if options.limits == (limits{}) {
		options.limits = defaultLimits
	}
	w := &Writer{
		directory: directory, budget: options.Budget, now: options.Now, retained: options.Retention.Milliseconds(), ahead: options.ClockAhead.Milliseconds(),
		expired: fmt.Sprintf(detailExpired, options.Retention/(24*time.Hour)),
		queue:   newQueue(options.Queue, options.Now),
		wake:    make(chan struct{}, 1), stopped: make(chan struct{}),
		committer: newCommitter(store, newest, notices, options.Now, options.FlagOutliers),
	}
	w.lanes = newLanes(&w.committer, w.queue, options.limits, options.Interval, w.answer)
	w.committer.watermark.begin(options.ReceivedThrough, options.Unsettled, options.Now())
	go w.run()
	return w
}

// Budget returns the budget that bounds the bytes in flight. The server takes what reading a body needs from
// the organisation's share of it before it reads the body, and names that share in the decode.Limits.
func (w *Writer) Budget() *decode.Budget {
	return w.budget
}

// Underway returns what counts a body that is read for Ingest, for its decode.Limits: a group waits a moment for bodies
// that are being read.
func (w *Writer) Underway() *decode.Underway {
	return w.queue.reading()
}

// Accepts reports whether Ingest would take points of an organisation now, so that a body need not be
// read only to be refused. Between the two calls this may change.
func (w *Writer) Accepts(orgID string) bool {
	return w.queue.open(orgID)
}

// Ingest writes the points of a batch, which it consumes, and returns when ClickHouse has them and
// last_seen shows them. Points that name a session or a device that the caller may not write for,
// that come from the future (more than ClockAhead), that come after their session's end or that are
// older than the retention are rejected one by one.
//
// Errors: schema.Busy; schema.Unavailable; schema.DiskFull; or the context's when it ends first, in which case the
// points may still be written.
func (w *Writer) Ingest(ctx context.Context, caller registry.Caller, batch *decode.Batch) (Result, error) {
	if err := batch.ReserveFrom(w.budget); err != nil {
		batch.Release()
		return Result{}, err
	}
	now := w.now().UnixMilli()
	w.directory.Resolve(caller, batch.Targets, now)
	batch.Keep(func(p *decode.Point) string {
		o := &batch.Targets[p.Target].Owner
		switch {
		case o.Detail != "":
			return o.Detail
		case p.Timestamp > now+w.ahead:
			return detailFuture
		case rolledOver(p.Timestamp, now):
			return detailRollover
		case p.Timestamp > o.EndedAt:
			return detailAfterEnd
		case w.retained > 0 && p.Timestamp < now-w.retained:
			return w.expired
		}
		return ""
	})
	// The batch is the committer's from the submission on.
	result := Result{Accepted: batch.Len(), Rejected: batch.TakeRejected(), Dropped: batch.Dropped}
	w.committer.counts.rejected(result.Rejected, w.expired)
	if result.Accepted == 0 {
		batch.Release()
		return result, nil
	}
	r := &request{ctx: ctx, orgID: caller.OrgID, batch: batch, rest: batch.Points, done: make(chan error, 1)}
	if from := usualFrom(now); r.mayBeCostly(from) {
		r.arrange(from)
	}
	if err := w.submit(r, result.Accepted); err != nil {
		return Result{}, err
	}
	result.Replaced = r.replaced
	return result, nil
}

// rolledOver reports whether a time is that of a receiver whose count of weeks began again. Apps' routes have
// corrected theirs by now.
func rolledOver(at, now int64) bool {
	_, rolled := decode.Unrolled(at, now)
	return rolled
}

// submit hands a request of so many points to the committer and waits for its answer.
func (w *Writer) submit(r *request, points int) error {
	if !w.queue.add(r, points) {
		w.release(r)
		return schema.Busy
	}
	w.wakeUp()
	select {
	case err := <-r.done:
		return err
	case <-r.ctx.Done():
		return ended(r.ctx)
	}
}

// ended returns why a context ended.
func ended(ctx context.Context) error {
	return fmt.Errorf("wait for the write: %w", context.Cause(ctx))
}

// wakeUp makes the committer look at the queue.
func (w *Writer) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// release gives back the memory of a request.
func (w *Writer) release(r *request) {
	w.budget.Release(r.bytes)
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
}

// Close writes and answers everything that was admitted, then stops. Later calls get schema.Busy. It may
// be called more than once.
func (w *Writer) Close() {
	w.queue.close()
	w.wakeUp()
	<-w.stopped
}

// run is the committer's goroutine: it does one step after the other until the Writer is closed and nothing
// waits.
func (w *Writer) run() {
	defer close(w.stopped)
	for {
		if b := w.beginning.Swap(nil); b != nil {
			w.committer.beginAnew(b)
		}
		w.lanes.look()
		switch step, wait := w.lanes.next(time.Now()); {
		case step == aGroup:
			w.lanes.group()
		case step == aSlice:
			w.lanes.slice()
		case w.lanes.closed && w.lanes.empty():
			return
		default:
			w.sleep(wait)
		}
	}
}

// sleep returns when something has arrived, or after a time where it is not 0.
func (w *Writer) sleep(wait time.Duration) {
	if wait == 0 {
		<-w.wake
		return
	}
	due := time.NewTimer(wait)
	defer due.Stop()
	select {
	case <-w.wake:
	case <-due.C:
	}
}

// answer tells who waits what became of a request.
func (w *Writer) answer(r *request, err error) {
	w.release(r)
	r.done <- err
}
