// Package exporter pulls the histories of many sessions from a lastseen server into files, several at
// a time, so that an export that was killed goes on where it stopped.
package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"lastseen.example/client"
)

// Server is what the exporter needs of a server; *client.Client is one. It is called from several goroutines.
type Server interface {
	Download(ctx context.Context, path string, query url.Values, begin func() (io.Writer, error)) (client.Answer, error)
}

// Options say what to export. Start, End and Format are required.
type Options struct {
	Start, End time.Time // start inclusive, end exclusive
	Format     string    // as the server's parameter format
	Parallel   int       // sessions at one time, 4 by default
	PagePoints int       // points in one request of a format that is paged, 50,000 by default
	Restart    bool      // forget what an earlier export into the same directory has left
}

// lineFormats can be pulled page by page: a file is its pages one after the other.
var lineFormats = []string{"ndjson", "csv"}

// Pageable reports whether a format is pulled page by page, so that a session goes on in its middle.
func Pageable(format string) bool { return slices.Contains(lineFormats, format) }

// Export is one run. Progress may be called while it works.
type Export struct {
	server  Server
	options Options

	points, bytes, done, skipped atomic.Int64

	mu       sync.Mutex
	failures []string
}

// New returns an export that has not begun.
func New(server Server, options Options) *Export {
	if options.Parallel <= 0 {
		options.Parallel = 4
	}
	if options.PagePoints <= 0 {
		options.PagePoints = 50_000
	}
	return &Export{server: server, options: options}
}

// Progress is how far an export has come.
type Progress struct {
	Sessions int64 // finished, the skipped ones included
	Skipped  int64 // whose file was complete from before
	Points   int64 // written by this run; only of formats with a line for each point
	Bytes    int64 // written by this run
}

// Progress says how far the export has come. It is safe for concurrent use.
func (e *Export) Progress() Progress {
	return Progress{Sessions: e.done.Load(), Skipped: e.skipped.Load(), Points: e.points.Load(), Bytes: e.bytes.Load()}
}

// Failures are the sessions that the server refused, each "session: sentence".
func (e *Export) Failures() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.failures)
}

// ToDirectory writes a file for each session. A session that the server refuses is noted among the
// failures and the rest goes on; an error means that the export stopped early.
func (e *Export) ToDirectory(ctx context.Context, name string, sessions []string) error {
	dir, err := openDirectory(name, &e.options)
	if err != nil {
		return err
	}
	defer dir.close()
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(e.options.Parallel)
	for _, session := range sessions {
		if working.Err() != nil {
			break
		}
		group.Go(func() error { return e.judge(session, e.toFile(working, dir, session)) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// ToStream writes the sessions one after the other; a table's header only once. The format must be
// pageable. Only whole pages are written, each spooled to a temporary file first.
func (e *Export) ToStream(ctx context.Context, w io.Writer, sessions []string) error {
	spool, err := newSpool()
	if err != nil {
		return err
	}
	defer spool.remove()
	header := true
	for _, session := range sessions {
		for cursor := ""; ; {
			answer, err := e.server.Download(ctx, client.HistoryPath, e.query(session, cursor), spool.begin)
			if err != nil {
				if err := e.judge(session, err); err != nil {
					return err
				}
				break
			}
			page := &page{to: w, skipHeader: e.options.Format == "csv" && !header}
			if err := spool.copyTo(page); err != nil {
				return fmt.Errorf("write to standard output: %w", err)
			}
			e.count(page, e.options.Format == "csv" && header)
			header = false
			if cursor = answer.Next; cursor == "" {
				e.done.Add(1)
				break
			}
		}
	}
	return nil
}

// judge keeps what concerns one session from stopping the others.
func (e *Export) judge(session string, err error) error {
	var problem *client.Problem
	if errors.As(err, &problem) && (problem.Status == http.StatusNotFound || problem.Status == http.StatusUnprocessableEntity) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.failures = append(e.failures, session+": "+err.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("export session %s: %w", session, err)
	}
	return nil
}

// query are the parameters of a session's next page, or of the whole where there are none.
func (e *Export) query(session, cursor string) url.Values {
	query := url.Values{
		"session_id": {session}, "format": {e.options.Format},
		"start_timestamp": {e.options.Start.UTC().Format(time.RFC3339Nano)},
		"end_timestamp":   {e.options.End.UTC().Format(time.RFC3339Nano)},
	}
	if Pageable(e.options.Format) {
		query.Set("limit", strconv.Itoa(e.options.PagePoints))
		if cursor != "" {
			query.Set("cursor", cursor)
		}
	}
	return query
}

// count adds a page to the progress.
func (e *Export) count(p *page, withHeader bool) {
	e.bytes.Add(p.bytes)
	if !Pageable(e.options.Format) {
		return
	}
	e.points.Add(p.lines)
	if withHeader && p.lines > 0 {
		e.points.Add(-1)
	}
}
