package query

import (
	"context"
	"errors"
	"io"
	"time"

	"lastseen/schema"
)

// ClusterRule is what makes points a stationary cluster.
type ClusterRule struct {
	DistanceMeters float64       // a point this far from the run's first one, or farther, ends the run
	Minimum        time.Duration // between the first and the last point of a cluster, at least
	Gap            time.Duration // between two consecutive points of a run, at most
}

// DefaultClusterRule returns the rule of the definition: 100 m, 5 minutes, 15 minutes.
func DefaultClusterRule() ClusterRule {
	return ClusterRule{DistanceMeters: 100, Minimum: 5 * time.Minute, Gap: 15 * time.Minute}
}

// HistoryRequest says which points of which session are wanted, by whom.
type HistoryRequest struct {
	SessionID string // its text; any text is allowed
	OrgID     string // the caller's organisation
	Public    bool   // the caller has no credential and sees public sessions only; OrgID is ignored
	// Start <= timestamp < End, Unix milliseconds.
	Start, End int64
	// BucketSeconds is the length of the buckets of which only the newest point is wanted, 1 to
	// 604800, or 0 for every point.
	BucketSeconds int
	Clusters      ClusterRule
}

// Validate returns an *InvalidError that names the first parameter that cannot be served.
func (r *HistoryRequest) Validate() error { return nil }

// History streams the data points of sessions. It is safe for concurrent use.
type History struct{}

// NewHistory returns a History that streams at most streams answers at a time. Each holds a
// connection to ClickHouse for as long as its reader takes, so streams should leave some of
// schema.Options.Connections to others.
func NewHistory(db *schema.DB, lastSeen *LastSeen, streams int) *History { return &History{} }

// Open starts a history. Its errors are ErrNotFound, *InvalidError, ErrBusy, ErrUnavailable and that
// of ctx, which must last as long as the stream. The caller calls WriteTo once or Close.
func (h *History) Open(ctx context.Context, request HistoryRequest) (*Stream, error) {
	return nil, errors.ErrUnsupported
}

// Stream is a history on its way. It belongs to one goroutine.
type Stream struct{}

// WriteTo writes {"data_points":[…],"stationary_clusters":[…]} to w in pieces of about 64 KiB and
// closes the stream. After an error what was written is not valid JSON, and the caller must cut the
// connection rather than end the answer well.
func (s *Stream) WriteTo(w io.Writer) (written int64, err error) { return 0, errors.ErrUnsupported }

// Close frees the stream's query. It may be called again.
func (s *Stream) Close() error { return nil }
