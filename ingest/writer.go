package ingest

import (
	"context"
	"fmt"
	"time"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/schema"
)

// LastSeen is what the Writer needs of the read side. The Writer calls it from one goroutine.
type LastSeen interface {
	// Prefetch is a hint that NewestTimestamp will be called for the sessions next.
	Prefetch(sessions []schema.ID)
	// NewestTimestamp returns the timestamp (Unix milliseconds) of the newest point of a session
	// that was ever published or loaded, outliers included, and false when it knows of none.
	NewestTimestamp(session schema.ID) (ms int64, known bool)
	// Publish shows points that are in ClickHouse. Points may be older than what is shown, may
	// be there already, and may carry an outlier's mark; of two points with one identity the
	// higher version counts. The slice is reused after the call.
	Publish(points []schema.OwnedPoint)
}

// Marker is what marking outliers needs of the read side. The Writer calls it from the goroutine
// from which it calls LastSeen, and publishes nothing between the two calls.
type Marker interface {
	// BeginMark makes it known, in ClickHouse, that the checkpoints of the sessions are not to be
	// believed until EndMark.
	BeginMark(ctx context.Context, sessions []schema.ID) error
	// EndMark replaces what is known of the sessions by what the history now says.
	EndMark(ctx context.Context, newest []schema.Checkpoint) error
}

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
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// ReceivedThrough is the newest time (Unix milliseconds) at which a point that is stored was
	// received; see schema.DB.NewestReceipt. What the Writer writes is received later. 0 means none.
	ReceivedThrough int64
	// Unsettled says that another process, which has ended, may have left inserts behind that
	// ClickHouse goes on with: ReceivedThrough does not count until they are through.
	Unsettled bool
}

// The sentences of rejections that the Writer adds.
const (
	detailAfterEnd     = "The session ended before this timestamp: create a new session."
	detailExpired      = "timestamp lies further back than the %d days for which this service keeps points: the point would be dropped again." // of each writer, with its days
	detailFuture       = "timestamp lies more than five minutes in the future: set the device's clock."
	latestAheadOfClock = 5 * 60 * 1000 // milliseconds
)

// Result is what became of a batch.
type Result struct {
	Accepted int                `json:"accepted"` // points that are now stored, newly or from before
	Rejected []decode.Rejection `json:"rejected"` // by ascending index, never nil
}

// MaxMarks is the number of points that one call of MarkOutliers may name.
const MaxMarks = 10_000

// Writer writes points to ClickHouse in groups: what arrives while an insert runs shares the next
// one. It is safe for concurrent use.
type Writer struct {
	registry *registry.Registry
	budget   *decode.Budget
	now      func() time.Time
	retained int64  // milliseconds for which points are kept; 0 for ever
	expired  string // why an older one is rejected

	queue     *queue
	pace      pace
	wake      chan struct{} // has room for one
	stopped   chan struct{} // closed when the committer has ended
	committer committer
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
}

// NewWriter returns a Writer that runs until Close. The registry must be loaded, and what lastSeen
// knows must be too.
func NewWriter(db *schema.DB, registry *registry.Registry, lastSeen LastSeen, marker Marker, options WriterOptions) *Writer {
	if options.Budget == nil {
		options.Budget = decode.NewBudget(decode.DefaultBudget)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Interval == 0 {
		options.Interval = DefaultInterval
	}
	w := &Writer{
		registry: registry, budget: options.Budget, now: options.Now, retained: options.Retention.Milliseconds(),
		expired: fmt.Sprintf(detailExpired, options.Retention/(24*time.Hour)),
		queue:   newQueue(options.Queue, options.Now), pace: pace{interval: options.Interval},
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		committer: newCommitter(db, lastSeen, marker, options.Now),
	}
	w.committer.receipts.begin(options.ReceivedThrough, options.Unsettled, options.Now())
	go w.run()
	return w
}

// Budget returns the budget that bounds the bytes in flight. The server takes from it what reading a
// body needs before it reads the body, and names it in the Limits of Decode.
func (w *Writer) Budget() *decode.Budget {
	return w.budget
}

// Accepts reports whether Ingest would take points of an organisation now, so that a body need not be
// read only to be refused. Between the two calls this may change.
func (w *Writer) Accepts(orgID string) bool {
	return w.queue.open(orgID)
}

// Ingest writes the points of a batch, which it consumes, and returns when ClickHouse has them and
// last_seen shows them. Points that name a session or a device that the caller may not write for,
// that come from the future (more than five minutes), that come after their session's end or that are
// older than the retention are rejected one by one.
//
// Errors: schema.Busy; schema.Unavailable; schema.DiskFull; or the context's when it ends first, in which case the points may
// still be written.
func (w *Writer) Ingest(ctx context.Context, caller registry.Caller, batch *decode.Batch) (Result, error) {
	if err := batch.ReserveFrom(w.budget); err != nil {
		batch.Release()
		return Result{}, err
	}
	now := w.now().UnixMilli()
	w.registry.Resolve(caller, batch.Targets, now)
	batch.Keep(func(p *decode.Point) string {
		o := &batch.Targets[p.Target].Owner
		switch {
		case o.Detail != "":
			return o.Detail
		case p.Timestamp > now+latestAheadOfClock:
			return detailFuture
		case p.Timestamp > o.EndedAt:
			return detailAfterEnd
		case w.retained > 0 && p.Timestamp < now-w.retained:
			return w.expired
		}
		return ""
	})
	// The batch is the committer's from the submission on.
	result := Result{Accepted: batch.Len(), Rejected: batch.TakeRejected()}
	w.committer.counts.rejected(result.Rejected, w.expired)
	if result.Accepted == 0 {
		batch.Release()
		return result, nil
	}
	err := w.submit(&request{ctx: ctx, orgID: caller.OrgID, batch: batch, done: make(chan error, 1)}, result.Accepted)
	if err != nil {
		return Result{}, err
	}
	return result, nil
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

// maxGroupPoints bounds a group, and with it the memory and the time of an insert. A batch that has
// more goes alone.
const maxGroupPoints = 100_000

// run is the committer's goroutine: it takes groups from the queue until the Writer is closed and
// the queue is empty.
func (w *Writer) run() {
	defer close(w.stopped)
	var group []*request
	for {
		w.gather()
		var closed bool
		if group, closed = w.queue.take(group); len(group) == 0 {
			if closed {
				return
			}
			<-w.wake
			continue
		}
		began, points := time.Now(), weightOf(group)
		w.commit(group)
		waiting, _ := w.queue.waiting()
		w.pace.inserted(began, time.Now(), len(group), points, waiting)
		clear(group)
		group = group[:0]
	}
}

// gather returns when what waits in the queue should be written, at once when nothing waits.
func (w *Writer) gather() {
	for {
		waiting, urgent := w.queue.waiting()
		if waiting == 0 || urgent {
			return
		}
		wait := w.pace.due(time.Now(), waiting)
		if wait <= 0 {
			return
		}
		due := time.NewTimer(wait)
		select {
		case <-w.wake:
		case <-due.C:
		}
		due.Stop()
	}
}

// nextGroup returns the requests at the head of the queue that go into one insert: marks go alone.
func nextGroup(pending []*request) []*request {
	points := 0
	for i, r := range pending {
		if i > 0 && (r.marks != nil || points+r.batch.Len() > maxGroupPoints) {
			return pending[:i]
		}
		if r.marks != nil {
			return pending[:1]
		}
		points += r.batch.Len()
	}
	return pending
}

// commit writes a group and answers everybody in it. Who has stopped waiting is left out.
func (w *Writer) commit(group []*request) {
	var batches []*request
	for _, r := range group {
		switch {
		case r.ctx.Err() != nil:
			w.answer(r, ended(r.ctx))
		case r.marks != nil:
			w.answer(r, w.committer.mark(r.marks))
		default:
			batches = append(batches, r)
		}
	}
	if len(batches) == 0 {
		return
	}
	err := w.committer.write(batches)
	for _, r := range batches {
		w.answer(r, err)
	}
}

// answer tells who waits what became of a request.
func (w *Writer) answer(r *request, err error) {
	w.release(r)
	r.done <- err
}
