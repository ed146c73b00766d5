package exporter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"lastseen.example/client"
)

// FollowFormats are the formats in which a feed can be followed.
var FollowFormats = []string{"ndjson", "csv", "parquet", "arrow"}

// FollowOptions say which feed is followed, and how.
type FollowOptions struct {
	Format string // one of FollowFormats
	Scope  string // as the server's parameter org_scope
	// ReceivedAfter is when the points arrived that are left out; the zero time means none.
	ReceivedAfter time.Time
	FilePoints    int // most points of a file, 1,000,000 by default
	// Interval is how long after its arrival a point goes into a file, so that those of so much time share one, and
	// how long it is until a feed without anything new is asked again; a minute by default.
	Interval time.Duration
	// Once ends with what there is.
	Once bool
}

// Follower keeps a directory of files up to date with a feed: each point that arrives, and each replacement, is in
// exactly one of them, whenever it was stopped or killed in between. Progress may be called while it works.
type Follower struct {
	server  Server
	options FollowOptions

	files, bytes atomic.Int64
}

// NewFollower returns a follower that has not begun.
func NewFollower(server Server, options FollowOptions) *Follower {
	if options.FilePoints <= 0 {
		options.FilePoints = 1_000_000
	}
	if options.Interval <= 0 {
		options.Interval = time.Minute
	}
	return &Follower{server: server, options: options}
}

// Followed is how far a Follower has come in this run.
type Followed struct {
	Files, Bytes int64
}

// Progress says how far the follower has come. It is safe for concurrent use.
func (f *Follower) Progress() Followed { return Followed{f.files.Load(), f.bytes.Load()} }

const (
	firstPause = time.Second // after a failure
	mostPause  = time.Minute
)

// Run follows the feed into a directory until ctx ends, which is no error, or, with Once, until everything is there. What
// fails but may succeed later is tried again for as long as it takes: a server that is away, slow or overloaded.
func (f *Follower) Run(ctx context.Context, name string) error {
	folder, err := openFolder(name, &f.options)
	if err != nil {
		return err
	}
	defer folder.close()
	for pause := firstPause; ; {
		more, err := f.advance(ctx, folder)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !client.Temporary(err):
			return err
		case err != nil:
			wait(ctx, pause)
			pause = min(2*pause, mostPause)
			continue
		case !more && f.options.Once:
			return nil
		case !more:
			wait(ctx, f.options.Interval)
		}
		pause = firstPause
	}
}

// advance writes the next file, and reports whether there was anything for one.
func (f *Follower) advance(ctx context.Context, folder *folder) (more bool, err error) {
	first, err := f.next(ctx, folder)
	if err != nil || !first.found {
		return false, err
	}
	if left := f.options.Interval - first.age; left > 0 && !f.options.Once {
		wait(ctx, min(left, f.options.Interval)) // the clock of the server may have been set back
	}
	part, err := folder.begin()
	if err != nil {
		return false, err
	}
	defer part.Close()
	var page *page
	answer, err := f.server.Download(ctx, client.FeedPath, f.query(folder.state.Cursor, f.options.Format, f.options.FilePoints), func() (io.Writer, error) {
		page, err = overwrite(part)
		return page, err
	})
	if err != nil {
		return false, err
	}
	if err := folder.commit(part, page.bytes, answer.Next); err != nil {
		return false, err
	}
	f.files.Add(1)
	f.bytes.Add(page.bytes)
	return true, nil
}

// overwrite returns a writer to a file from its beginning.
func overwrite(file *os.File) (*page, error) {
	if err := file.Truncate(0); err != nil {
		return nil, err
	}
	_, err := file.Seek(0, io.SeekStart)
	return &page{to: file}, err
}

// nextPoint is the point that comes next in a feed.
type nextPoint struct {
	found bool
	age   time.Duration // since it arrived, by the server's clock
}

// next asks for the point that comes next. Where there is none, the folder's cursor moves on, so that the same need not be
// looked through again.
func (f *Follower) next(ctx context.Context, folder *folder) (p nextPoint, err error) {
	var line bytes.Buffer
	answer, err := f.server.Download(ctx, client.FeedPath, f.query(folder.state.Cursor, "ndjson", 1), func() (io.Writer, error) {
		line.Reset()
		return &line, nil
	})
	if err != nil {
		return p, err
	}
	if line.Len() == 0 {
		folder.state.Cursor = answer.Next
		return p, nil
	}
	var point struct {
		Received time.Time `json:"received_at_timestamp"`
	}
	if err := json.Unmarshal(line.Bytes(), &point); err != nil {
		return p, fmt.Errorf("read a point of the feed: %w", err)
	}
	return nextPoint{found: true, age: answer.At.Sub(point.Received)}, nil
}

// query are the parameters of a page of the feed.
func (f *Follower) query(cursor, format string, limit int) url.Values {
	query := url.Values{"format": {format}, "limit": {strconv.Itoa(limit)}, "org_scope": {f.options.Scope}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if after := f.options.ReceivedAfter; !after.IsZero() {
		query.Set("received_after", after.UTC().Format(time.RFC3339Nano))
	}
	return query
}

// wait returns after a time, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
