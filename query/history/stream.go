package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"lastseen/query/history/stays"
	"lastseen/query/wire"
	"lastseen/schema"
)

// Stream is a history on its way. It belongs to one goroutine.
type Stream struct {
	history  *Reader
	ctx      context.Context // that of the request
	session  schema.ID
	request  Request
	from     int64 // the start of the request, or of what is kept when that is later, Unix milliseconds
	page     page
	began    time.Time
	points   *schema.PointReader // nil while there is no query, and where there is a file
	broken   error               // why points could not be asked for again
	primed   bool                // points is at the first point already
	file     io.ReadCloser       // what ClickHouse writes; nil once it is closed
	clusters *stays.Finder
	closed   bool
}

// failure tells a request that has ended, and one for too much, from a ClickHouse that failed.
func (s *Stream) failure(err error) error {
	if s.ctx.Err() != nil {
		return fmt.Errorf("read the history of a session: %w", context.Cause(s.ctx))
	}
	if errors.Is(err, schema.ErrTooManyRows) {
		return s.history.limits.tooManyPoints()
	}
	return schema.Failure(err)
}

const (
	// pieceSize is how much is written at a time. With the last point and the frame of an HTTP chunk it stays below the
	// 64 KB that the kernel sends in one go: a few bytes more wake the client up twice, and take a sixth longer.
	pieceSize = 60 << 10
	// pointRoom is more than any data point or cluster takes.
	pointRoom = 1 << 10
)

// pieces are the buffers of streams. What is in one belongs to the stream until it puts it back, so
// writers must not keep what they are given.
var pieces = sync.Pool{New: func() any { return &piece{buffer: make([]byte, 0, pieceSize+pointRoom)} }}

type piece struct {
	buffer []byte
}

// start begins the query.
func (s *Stream) start() (err error) {
	if s.request.Format.Export() != "" {
		return s.startExport()
	}
	if err := s.openPoints(); err != nil {
		return err
	}
	s.primed = s.points.Next()
	return s.points.Err()
}

// openPoints begins the query of the points of the page.
func (s *Stream) openPoints() (err error) {
	db, r := s.history.db, &s.request
	switch {
	case s.page.receipts != nil:
		s.points, err = db.ReadReceived(s.ctx, s.session, s.from, r.End, *s.page.receipts)
	case r.BucketSeconds > 0:
		s.points, err = db.ReadBuckets(s.ctx, s.session, s.page.start, s.page.end, r.BucketSeconds)
	default:
		s.points, err = db.ReadDataPoints(s.ctx, s.session, s.page.start, s.page.end)
	}
	return err
}

// ContentType returns the media type of what WriteTo writes.
func (s *Stream) ContentType() string { return s.request.Format.ContentType() }

// WriteTo writes the history in the request's format to w in pieces of about 64 KiB and closes the
// stream. Memory is bounded whatever the range, but for 48 bytes a cluster. After an error what was
// written is not the whole, even where it looks so, and the caller must cut the connection rather
// than end the answer well. Errors match schema.Unavailable, or are those of w or of the request's
// context.
func (s *Stream) WriteTo(w io.Writer) (written int64, err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	p := pieces.Get().(*piece)
	defer pieces.Put(p)
	out := &output{w: w, buffer: p.buffer[:0], limits: &s.history.limits, began: s.began}
	defer func() { p.buffer = out.buffer }()
	switch points := s.request.Format.Points(); {
	case s.file != nil:
		err = s.copyFile(out)
	case points != nil:
		err = s.writeFormat(out, points)
	default:
		err = s.writeJSON(out)
	}
	return out.written, err
}

// writeJSON writes {"data_points":[…],"stationary_clusters":[…]}, with a next_cursor where there is one.
// Of several pages the first has the clusters of the whole range: a stay does not end with a page.
func (s *Stream) writeJSON(out *output) error {
	out.buffer = append(out.buffer, `{"data_points":[`...)
	if err := s.writePoints(out); err != nil {
		return err
	}
	if s.request.Order == OrderTimestamp && s.page.first && (s.request.BucketSeconds > 0 || !s.page.whole) {
		if err := s.readClusters(); err != nil {
			return err
		}
	}
	out.buffer = append(out.buffer, `],"stationary_clusters":[`...)
	found := s.clusters.Finish()
	for i := range found {
		if i > 0 {
			out.buffer = append(out.buffer, ',')
		}
		out.buffer = appendCluster(out.buffer, &found[i])
		if err := out.flushFull(); err != nil {
			return err
		}
	}
	out.buffer = append(out.buffer, ']')
	if s.page.next != "" {
		out.buffer = append(append(append(out.buffer, `,"next_cursor":"`...), s.page.next...), '"')
	}
	out.buffer = append(out.buffer, '}')
	return out.flush()
}

// output collects what is written to w.
type output struct {
	w       io.Writer
	buffer  []byte
	written int64
	points  int64
	limits  *Limits
	began   time.Time
}

func (o *output) flushFull() error {
	if len(o.buffer) < pieceSize {
		return nil
	}
	return o.flush()
}

func (o *output) flush() error {
	if err := o.limits.check(o.points, o.written+int64(len(o.buffer)), o.began); err != nil {
		return err
	}
	n, err := o.w.Write(o.buffer)
	o.written += int64(n)
	o.buffer = o.buffer[:0]
	if err != nil {
		return fmt.Errorf("write the history of a session: %w", err)
	}
	return nil
}

func (s *Stream) writePoints(out *output) error {
	inRange := s.page.whole && s.request.BucketSeconds == 0 // the points are all that clusters need
	separate := false
	encoder := wire.NewPointEncoder(s.session)
	for s.nextPoint() {
		p := s.points.Point()
		if separate {
			out.buffer = append(out.buffer, ',')
		}
		separate = true
		out.buffer = encoder.Append(out.buffer, p)
		out.points++
		if inRange && p.Outlier == schema.NotOutlier {
			s.clusters.Add(p.Timestamp, stays.Position{Latitude: p.Latitude, Longitude: p.Longitude})
		}
		if err := out.flushFull(); err != nil {
			return err
		}
	}
	return s.endPoints()
}

// endPoints closes the query, whose connection the next one may need.
func (s *Stream) endPoints() error {
	if s.broken != nil {
		return s.failure(s.broken)
	}
	err := s.points.Err()
	if err != nil {
		err = s.failure(err)
	}
	err = errors.Join(err, s.points.Close())
	s.points = nil
	return err
}

// readClusters goes through all points of the range when those that were written are but some.
func (s *Stream) readClusters() (err error) {
	s.points, err = s.history.db.ReadPositions(s.ctx, s.session, s.from, s.request.End)
	if err != nil {
		return s.failure(err)
	}
	for s.points.Next() {
		if p := s.points.Point(); p.Outlier == schema.NotOutlier {
			s.clusters.Add(p.Timestamp, stays.Position{Latitude: p.Latitude, Longitude: p.Longitude})
		}
	}
	return s.endPoints()
}

// Ends returns when the stream has taken as long as it may, the zero time where there is no such limit.
func (s *Stream) Ends() time.Time { return s.history.limits.ends(s.began) }

// Close frees the stream's query and its place. It may be called again.
func (s *Stream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	defer func() { <-s.history.streams }()
	var err error
	switch {
	case s.points != nil:
		err = s.points.Close()
		s.points = nil
	case s.file != nil:
		err = s.file.Close()
	}
	if err != nil {
		return fmt.Errorf("end the query of a history: %w", err)
	}
	return nil
}
