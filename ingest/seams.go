package ingest

import (
	"context"

	"lastseen/ingest/registry"
	"lastseen/schema"
)

// Directory tells which session a point means and whose it is. It is safe for concurrent use, and a *registry.Registry is one.
type Directory interface {
	// Resolve fills in the owner of each target, for a caller at a time (Unix milliseconds).
	Resolve(caller registry.Caller, targets []registry.Target, now int64)
	// DeviceOf returns the device of a session that an organisation owns, and false when it owns none with that id.
	DeviceOf(orgID string, session schema.ID) (schema.ID, bool)
}

// Newest tells what is known of sessions' newest points without asking ClickHouse. The Writer calls it from one
// goroutine.
type Newest interface {
	// Prefetch is a hint that LastKnown will be called for the sessions next.
	Prefetch(sessions []schema.ID)
	// LastKnown fills shown with the newest point of a session that is no outlier or, when all are, with the
	// newest of those, and returns the timestamp (Unix milliseconds) of the newest point that was ever published
	// or loaded, outliers included. It returns false when it knows of none.
	LastKnown(session schema.ID, shown *schema.DataPoint) (newest int64, known bool)
}

// Notices tells everybody who must hear of a change to points, and returns when they have. The Writer calls it from
// the goroutine from which it calls Newest, and publishes nothing between BeginMark and EndMark.
type Notices interface {
	// Publish shows points that are in ClickHouse. Points may be older than what is shown, may
	// be there already, and may carry an outlier's mark; of two points with one identity the
	// higher version counts. The slice is reused after the call. An error, of which the points' senders are told, says that
	// not everybody is known to have heard of them.
	Publish(points []schema.OwnedPoint) error
	// BeginMark makes it known, in ClickHouse, that the checkpoints of the sessions are not to be
	// believed until EndMark.
	BeginMark(ctx context.Context, sessions []schema.ID) error
	// EndMark replaces what is known of the sessions by what the history now says.
	EndMark(ctx context.Context, newest []schema.Checkpoint) error
}
