package ingest

import (
	"context"
	"time"

	"lastseen/schema"
)

// LastSeen is what the Writer needs of the read side. The Writer calls it from one goroutine.
type LastSeen interface {
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
	Budget *Budget
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Caller is who writes points.
type Caller struct {
	OrgID    string
	DeviceID schema.ID // the one device that the caller may write for; zero for any of the organisation
}

// Result is what became of a batch.
type Result struct {
	Accepted int         `json:"accepted"` // points that are now stored, newly or from before
	Rejected []Rejection `json:"rejected"` // by ascending index, never nil
}

// MaxMarks is the number of points that one call of MarkOutliers may name.
const MaxMarks = 10_000

// Writer writes points to ClickHouse in groups: what arrives while an insert runs shares the next
// one. It is safe for concurrent use.
type Writer struct {
	budget *Budget
}

// NewWriter returns a Writer that runs until Close. The registry must be loaded, and what lastSeen
// knows must be too.
func NewWriter(db *schema.DB, registry *Registry, lastSeen LastSeen, marker Marker, options WriterOptions) *Writer {
	return &Writer{}
}

// Budget returns the budget that bounds the bytes in flight. The server takes the size of a body
// from it before it reads the body, and names it in the Limits of Decode.
func (w *Writer) Budget() *Budget {
	return w.budget
}

// Ingest writes the points of a batch, which it consumes, and returns when ClickHouse has them and
// last_seen shows them. Points that name a session or a device that the caller may not write for,
// that come from the future (more than five minutes) or that come after their session's end are
// rejected one by one.
//
// Errors: ErrBusy; ErrUnavailable; or the context's when it ends first, in which case the points may
// still be written.
func (w *Writer) Ingest(ctx context.Context, caller Caller, batch *Batch) (Result, error) {
	return Result{}, errNotThere
}

// MarkOutliers marks points as outliers, or takes the mark away, and returns how many of the ids
// are now so and how many could not be: malformed, unknown, or of a session that the organisation
// does not own. When it returns, last_seen and history show the change.
//
// Errors: *InvalidError with the field tracking_session_by_device_data_point_ids when there are more
// than MaxMarks ids; ErrBusy; ErrUnavailable, after which the same call may be made again; or the
// context's when it ends first, in which case the points may still be marked.
func (w *Writer) MarkOutliers(ctx context.Context, orgID string, ids []string, outlier bool) (successful, failed int, err error) {
	return 0, 0, errNotThere
}

// Close writes and answers everything that was admitted, then stops. Later calls get ErrBusy. It may
// be called more than once.
func (w *Writer) Close() {
}
