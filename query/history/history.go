package history

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"time"

	"lastseen/query/history/format"
	"lastseen/query/history/stays"
	"lastseen/schema"
)

// MaxBucketSeconds bounds the length of a bucket: a week.
const MaxBucketSeconds = 604_800

// Request says which points of which session are wanted, by whom.
type Request struct {
	SessionID string // its text; any text is allowed
	// AllSessions asks for the points of all sessions in Scope instead, of which only those that arrived after
	// ReceivedAfter (Unix milliseconds, or 0 for all); Order must be OrderReceived.
	AllSessions   bool
	Scope         schema.OrgScope
	ReceivedAfter int64
	OrgID         string // the caller's organisation
	Public        bool   // the caller has no credential and sees public sessions only; OrgID is ignored
	// Start <= timestamp < End, Unix milliseconds.
	Start, End int64
	// BucketSeconds is the length of the buckets of which only the newest point is wanted, 1 to
	// MaxBucketSeconds, or 0 for every point.
	BucketSeconds int
	// Clusters is what makes points a stationary cluster: usually stays.DefaultRule(), and within the bounds of
	// package stays.
	Clusters stays.Rule
	// Format is how the history is written.
	Format format.Format
	// ArrowCompression is how an Arrow stream is compressed within: lz4, zstd, or empty for not at all, which
	// every reader opens.
	ArrowCompression string
	// Order is the order of the points. OrderReceived goes without buckets and has no clusters.
	Order Order
	// Limit is the most points, or buckets, of the answer, 1 to MaxPageLimit, or 0 for all.
	Limit int
	// Cursor is NextCursor of the stream that gave the page before, or empty for the first page.
	Cursor string
}

// Validate returns a schema.Invalid that names the first parameter that cannot be served.
func (r *Request) Validate() error {
	switch rule := r.Clusters; {
	case r.Start >= r.End:
		return schema.Invalid.About("end_timestamp", "This must be later than start_timestamp.")
	case r.BucketSeconds < 0 || r.BucketSeconds > MaxBucketSeconds:
		return schema.Invalid.About("bucket_seconds", "This must be a whole number from 1 to %d.", MaxBucketSeconds)
	case !(rule.DistanceMeters >= stays.MinMeters && rule.DistanceMeters <= stays.MaxMeters):
		return schema.Invalid.About("stationary_distance_meters", "This must be from %g to %d.", stays.MinMeters, stays.MaxMeters)
	case rule.Minimum < time.Second || rule.Minimum > stays.MaxSeconds*time.Second:
		return schema.Invalid.About("stationary_minimum_seconds", "This must be from 1 to %d.", stays.MaxSeconds)
	case rule.Gap < time.Second || rule.Gap > stays.MaxSeconds*time.Second:
		return schema.Invalid.About("stationary_gap_seconds", "This must be from 1 to %d.", stays.MaxSeconds)
	case r.Order >= orderCount:
		return schema.Invalid.About("order", "This must be one of timestamp, received.")
	case r.Order == OrderReceived && r.BucketSeconds > 0:
		return schema.Invalid.About("bucket_seconds", "Leave this or order=received out: they do not go together.")
	case r.AllSessions && (r.Order != OrderReceived || r.Public):
		return schema.Invalid.About("order", "Only an organisation can ask for the points of all sessions, and only by their arrival.")
	case r.Limit < 0 || r.Limit > MaxPageLimit:
		return schema.Invalid.About("limit", "This must be a whole number from 1 to %d.", MaxPageLimit)
	case r.ArrowCompression != "" && r.Format != format.Arrow:
		return schema.Invalid.About("compression", "Leave this out, or ask for format=arrow, which it is about.")
	case !r.Format.Valid():
		return schema.Invalid.About("format", "This must be one of json, ndjson, csv, geojson, gpx, parquet, arrow.")
	}
	return nil
}

// viewer is who asks.
func (r *Request) viewer() schema.Viewer { return schema.Viewer{OrgID: r.OrgID, Public: r.Public} }

// Access tells who may see which session. A *latest.Table does.
type Access interface {
	// Exists reports whether there is a session that who may see. It is safe for concurrent use.
	Exists(id schema.ID, who schema.Viewer) bool
	// SharedWith returns the sessions of others that an organisation may see. It is safe for concurrent use.
	SharedWith(orgID string) []schema.ID
	// Unshared counts how often a session ceased to be shared with an organisation: while it stays the same,
	// nobody has lost one. It is safe for concurrent use.
	Unshared() uint64
}

// Reader streams the data points of sessions. It is safe for concurrent use.
type Reader struct {
	db        *schema.DB
	access    Access
	cursors   cursors
	watermark Watermark
	limits    Limits
	retained  time.Duration
	folder    string
	reserve   int64
	runs      *runs // nil where others may mark points
}

// Options tune a Reader. How many streams there are at a time is for its caller to bound: each holds a
// connection to ClickHouse while its reader keeps up with it, and files always.
type Options struct {
	// CursorKey signs cursors, with at least 32 secret bytes; when it is shorter, a key is made and
	// cursors are good for as long as the Reader.
	CursorKey []byte
	// Watermark is of who writes points in this process; nil means nobody, and that points that arrive
	// later than now are not in the feed of OrderReceived.
	Watermark Watermark
	// Limits bound each answer.
	Limits Limits
	// Retention is how long points are kept after their timestamp; 0 means for ever. Older ones, which
	// ClickHouse drops only when it merges, are in no answer.
	Retention time.Duration
	// Folder is where large feeds are sorted, in files without names; empty is the system's folder for such files. They
	// leave Reserve bytes of its file system free.
	Folder  string
	Reserve int64
}

// New returns a Reader of the histories in db.
func New(db *schema.DB, access Access, options Options) *Reader {
	if len(options.CursorKey) < cursorKeySize {
		options.CursorKey = make([]byte, cursorKeySize)
		rand.Read(options.CursorKey)
	}
	waiting := new(runs)
	if options.Watermark == nil {
		options.Watermark, waiting = fixedWatermark(time.Now().UnixMilli()), nil
	}
	return &Reader{
		runs: waiting,
		db:   db, access: access,
		cursors: cursors{options.CursorKey}, watermark: options.Watermark, limits: options.Limits,
		retained: options.Retention, folder: cmp.Or(options.Folder, os.TempDir()), reserve: options.Reserve,
	}
}

// Close closes the queries that wait for the next page of a feed. Streams may still be open; none must be opened after it.
func (h *Reader) Close() error {
	if h.runs == nil {
		return nil
	}
	return h.runs.close()
}

// Open starts a history. Its errors match schema.NotFound, schema.Invalid, schema.Unavailable, or are
// that of ctx, which must last as long as the stream: when it ends, so does the query. The caller
// closes the stream.
func (h *Reader) Open(ctx context.Context, request Request) (*Stream, error) {
	if err := request.Validate(); err != nil {
		return nil, err
	}
	s := &Stream{history: h, ctx: ctx, request: request, began: time.Now(), finder: stays.NewFinder(request.Clusters)}
	if err := s.openSessions(); err != nil {
		return nil, err
	}
	s.from = request.Start
	if h.retained > 0 {
		s.from = max(s.from, s.began.Add(-h.retained).UnixMilli())
	}
	if err := s.openPage(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	// What fails before the first point can still become a proper answer.
	if err := s.start(); err != nil {
		return nil, errors.Join(s.failure(err), s.Close())
	}
	return s, nil
}
