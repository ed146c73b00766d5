package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"lastseen/query/history/arrival"
	"lastseen/query/history/stays"
	"lastseen/query/wire"
	"lastseen/schema"
)

// Stream is a history on its way, which is pulled: Next makes a piece of it. It belongs to one goroutine.
//
// It goes through stages, each of which appends to a piece until that is full or the stage is through, and then
// names the stage that follows. So a piece can end anywhere, and what a stage must remember of the pieces before is
// in the Stream.
type Stream struct {
	history *Reader
	ctx     context.Context // that of the request
	request Request
	session schema.ID // the zero one where all sessions are wanted
	// shared are those of others that are wanted then, and unshared what Access said of them last.
	shared   []schema.ID
	unshared uint64

	from  int64 // the start of the request, or of what is kept when that is later, Unix milliseconds
	page  page
	began time.Time

	stage  func(*Stream) error // nil when all is made
	piece  *piece
	made   int64 // bytes, those of the piece included
	points int64 // made

	query    pointSource        // nil while there is none, and where there is a file
	run      *run               // that query is the one of, nil where it is of this page only
	unfollow func() bool        // lets the run outlive the request
	file     io.ReadCloser      // what ClickHouse writes; nil once it is closed
	encoder  *wire.PointEncoder // used by JSON
	finder   *stays.Finder      // used by JSON
	stays    []stays.Stay       // those still to be written
	search   *staySearch        // nil but while the range is looked at once more
	track    schema.ID          // whose points a format is in the middle of, the zero one for nobody's
	closed   bool

	staysMade bool // some stays were written
}

// pointSource is a query's points, or those of a run.
type pointSource interface {
	arrival.Source
	Close() error
}

// failure tells a request that has ended, and one for too much, from a ClickHouse that failed.
func (s *Stream) failure(err error) error {
	if s.ctx.Err() != nil {
		return fmt.Errorf("read a history: %w", context.Cause(s.ctx))
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

// pieces are the buffers of streams. What is in one belongs to the stream until it is closed.
var pieces = sync.Pool{New: func() any { return &piece{buffer: make([]byte, 0, pieceSize+pointRoom)} }}

type piece struct {
	buffer []byte
}

func (p *piece) full() bool { return len(p.buffer) >= pieceSize }

// start begins the query.
func (s *Stream) start() (err error) {
	switch r := &s.request; {
	case r.Format.Export() != "":
		s.stage = (*Stream).copyFile
		return s.openFile()
	case r.Format.Points() != nil:
		s.stage = (*Stream).beginFormat
	default:
		s.stage = (*Stream).beginJSON
	}
	return s.openPoints()
}

// openPoints begins the query of the points of the page.
func (s *Stream) openPoints() error {
	db, r := s.history.db, &s.request
	switch {
	case s.run != nil:
		s.query = s.run.query
	case s.runnable() && (len(s.page.ends) > 1 || s.sortable()):
		return s.beginRun()
	case s.page.arrivals != nil:
		return s.read(db.ReadReceived(s.ctx, *s.page.arrivals))
	case r.BucketSeconds > 0:
		return s.read(db.ReadBuckets(s.ctx, s.session, s.page.start, s.page.end, r.BucketSeconds))
	default:
		return s.read(db.ReadDataPoints(s.ctx, s.session, s.page.start, s.page.end))
	}
	return nil
}

// read makes a query that has begun the stream's. One that failed to begin is none, which a nil in an interface would not be.
func (s *Stream) read(query *schema.PointReader, err error) error {
	if err == nil {
		s.query = query
	}
	return err
}

// ContentType returns the media type of the pieces.
func (s *Stream) ContentType() string { return s.request.Format.ContentType() }

// Next returns the next piece of the history, of about 60 KiB, which lives until Next or Close is called, and io.EOF
// after the last one. Memory is bounded whatever the range. After another error Next must
// not be called again, and what it returned before is not the whole, even where it looks so. Errors match
// schema.NotFound once the session is no longer the caller's to see, schema.Unavailable, or schema.Invalid past a limit, or
// are that of the request's context.
func (s *Stream) Next() ([]byte, error) {
	if s.piece == nil {
		s.piece = pieces.Get().(*piece)
	}
	p := s.piece
	p.buffer = p.buffer[:0]
	for s.stage != nil && !p.full() {
		if err := s.stage(s); err != nil {
			return nil, err
		}
	}
	if len(p.buffer) == 0 {
		return nil, io.EOF
	}
	// After the points were read: who loses the right sees nothing that was stored after that.
	if err := s.allowed(); err != nil {
		return nil, err
	}
	s.made += int64(len(p.buffer))
	if err := s.history.limits.check(s.points, s.made, s.began); err != nil {
		return nil, err
	}
	return p.buffer, nil
}

// nextPoint returns the next point of the page, which lives until the next call, and nil when there is none; then the
// query is closed, whose connection the next one may need.
func (s *Stream) nextPoint() (*schema.DataPoint, error) {
	if s.query == nil { // the stream was suspended
		if err := s.openPoints(); err != nil {
			return nil, s.failure(err)
		}
	}
	if s.run != nil {
		return s.nextOfRun()
	}
	if s.query.Next() {
		s.points++
		return s.query.Point(), nil
	}
	return nil, s.endQuery()
}

func (s *Stream) endQuery() error {
	err := s.query.Err()
	if err != nil {
		err = s.failure(err)
	}
	err = errors.Join(err, s.query.Close())
	s.query = nil
	return err
}

// Suspend gives the query up until the next point is wanted, and then begins it after the last one that was
// made. So who reads slowly keeps nothing of ClickHouse in the meantime, only the piece that waits. What was stored or
// dropped meanwhile may be in the rest. It reports whether the stream now holds nothing of ClickHouse: a file that ClickHouse
// writes cannot be gone on with. After an error Next must not be called.
func (s *Stream) Suspend() (suspended bool, _ error) {
	if s.query == nil {
		return s.file == nil, s.dropRun()
	}
	if s.search == nil && s.points > 0 {
		s.page.goOnAfter(s.query.Point(), s.request.BucketSeconds)
	}
	var err error
	if s.run != nil { // what is left of the page has a query of its own
		err = s.dropRun()
	} else {
		err = s.query.Close()
	}
	s.query = nil
	if err != nil {
		return false, fmt.Errorf("suspend the query of a history: %w", err)
	}
	return true, nil
}

// Ends returns when the stream has taken as long as it may, the zero time where there is no such limit.
func (s *Stream) Ends() time.Time { return s.history.limits.ends(s.began) }

// Close frees the stream's query and its piece. It may be called again.
func (s *Stream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if s.piece != nil {
		pieces.Put(s.piece)
		s.piece = nil
	}
	var err error
	switch {
	case s.run != nil:
		err = s.leaveRun()
		s.query = nil
	case s.query != nil:
		err = s.query.Close()
		s.query = nil
	case s.file != nil:
		err = s.file.Close()
	}
	if err != nil {
		return fmt.Errorf("end the query of a history: %w", err)
	}
	return nil
}
