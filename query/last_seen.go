package query

import (
	"context"
	"errors"
	"time"

	"lastseen/schema"
)

// Status is the outcome of a look-up.
type Status uint8

const (
	// NotFound: there is no such session, or none that the caller may see.
	NotFound Status = iota
	// NoPoint: the session has no data point that is not an outlier.
	NoPoint
	// Found: the point has been filled in.
	Found
)

// LastSeen holds the newest data point of every session in memory, with who may see it. It is safe
// for concurrent use; look-ups take no lock.
type LastSeen struct{ db *schema.DB }

// NewLastSeen returns an empty table over db. Load fills it; Run keeps its checkpoint in ClickHouse
// up to date. now is the clock (time.Now in production).
func NewLastSeen(db *schema.DB, now func() time.Time) *LastSeen { return &LastSeen{db: db} }

// LoadProgress says how far Load has come, in rows.
type LoadProgress struct {
	Sessions    int
	Checkpoints int
	Replayed    int // data points received since the checkpoint
	Recomputed  int // sessions whose newest point was asked of the history
}

// Load fills the table from ClickHouse: the sessions, their checkpoints, and the points received since.
// It must return before points are published or sessions put. progress may be nil; it is called
// from time to time and once at the end.
func (t *LastSeen) Load(ctx context.Context, progress func(LoadProgress)) error {
	return errors.ErrUnsupported
}

// PutSession makes a session known, or changes who may see it.
func (t *LastSeen) PutSession(s schema.Session) {}

// Publish takes note of points that ClickHouse has. The newest one of a session that is not an
// outlier is shown; late and repeated ones are harmless.
func (t *LastSeen) Publish(points []schema.OwnedPoint) {}

// NewestTimestamp returns the timestamp (Unix milliseconds) of a session's newest point, outlier or
// not, and false when it has none.
func (t *LastSeen) NewestTimestamp(session schema.ID) (ms int64, known bool) { return 0, false }

// Lookup fills p with the newest point of a session, given by the text of its id, as a caller of an
// organisation sees it. It allocates nothing and keeps neither sessionID nor p.
func (t *LastSeen) Lookup(sessionID []byte, orgID string, p *schema.DataPoint) Status {
	return NotFound
}

// LookupPublic is Lookup for a caller without a credential, who sees sessions that are public.
func (t *LastSeen) LookupPublic(sessionID []byte, p *schema.DataPoint) Status { return NotFound }

// BeginMark must return before the points of some sessions are marked as outliers or unmarked in
// ClickHouse; until EndMark the checkpoint of these sessions is not believed, so that a crash in
// between cannot leave a marked point on show.
func (t *LastSeen) BeginMark(ctx context.Context, sessions []schema.ID) error {
	return errors.ErrUnsupported
}

// EndMark shows what the history says (schema.DB.NewestPoints) after the marks of BeginMark were
// written, or failed to be. A session that is missing from checkpoints stays begun.
func (t *LastSeen) EndMark(ctx context.Context, checkpoints []schema.Checkpoint) error {
	return errors.ErrUnsupported
}

// Run saves what has changed about once a second until ctx ends. It runs at most once at a time.
func (t *LastSeen) Run(ctx context.Context) {}

// Flush saves what has changed before it was called; calls that overlap share one save.
func (t *LastSeen) Flush(ctx context.Context) error { return errors.ErrUnsupported }
