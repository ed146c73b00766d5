package history

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"lastseen/query/history/arrival"
	"lastseen/schema"
)

// A run is a query over several pages of a feed, for who pulls a long time of arrival: rows lie by session, so a page costs
// nearly as much as several. Where there is room for a file its points are read as they are stored and sorted here, which
// takes a fraction of what ClickHouse needs for that; otherwise ClickHouse sorts them. Between two pages it waits for the request that goes on, and gives the same points as the
// pages by themselves, because nothing arrives at a time that is settled. Who does not go on soon, or marks points
// meanwhile, or asks for something else, leaves it to be closed.
type run struct {
	orgID  string
	scope  schema.OrgScope
	after  int64 // Request.ReceivedAfter
	limit  int
	marked uint64 // what Watermark.Marked said before it began

	query  pointSource
	cancel context.CancelFunc // ends the query, and is called when it is closed
	ends   []schema.Receipt   // the last places of the pages that are left
	begun  bool               // query has the first point of the page that comes next

	cursor string      // of the page that comes next, while the run waits
	expire *time.Timer // likewise
}

const (
	// runPages is how many pages a run has at most, and leastRunPage how many points at least.
	runPages     = 12
	leastRunPage = 50_000
	// runPatience is how long a run waits for the next page to be asked for, and mostRuns how many wait, each with a
	// file or a query that ClickHouse holds; one of an organisation.
	runPatience = 5 * time.Second
	mostRuns    = 2
)

// runs are those that wait. It is safe for concurrent use.
type runs struct {
	mu      sync.Mutex
	waiting []*run
	closed  bool
}

// keep lets a run wait for the request that has its cursor.
func (r *runs) keep(kept *run, cursor string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return kept.close()
	}
	same := func(w *run) bool { return w.orgID == kept.orgID }
	before := slices.IndexFunc(r.waiting, same)
	if before < 0 && len(r.waiting) == mostRuns {
		before = 0 // the oldest
	}
	var err error
	if before >= 0 {
		err = r.drop(r.waiting[before])
	}
	kept.cursor = cursor
	kept.expire = time.AfterFunc(runPatience, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if slices.Contains(r.waiting, kept) {
			_ = r.drop(kept) // nobody waits for what it would have said
		}
	})
	r.waiting = append(r.waiting, kept)
	return err
}

// drop closes a run that waits. The caller holds the lock.
func (r *runs) drop(dropped *run) error {
	r.waiting = slices.DeleteFunc(r.waiting, func(w *run) bool { return w == dropped })
	dropped.expire.Stop()
	return dropped.close()
}

// take returns the run that a request goes on with, nil when there is none.
func (r *runs) take(request *Request, limit int, marked uint64) *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.waiting {
		if w.cursor != request.Cursor || w.orgID != request.OrgID {
			continue
		}
		if w.limit != limit || w.scope != request.Scope || w.after != request.ReceivedAfter || w.marked != marked {
			_ = r.drop(w) // it would give other points, or other pages
			return nil
		}
		w.expire.Stop()
		r.waiting = slices.DeleteFunc(r.waiting, func(other *run) bool { return other == w })
		return w
	}
	return nil
}

// close closes all that wait, and all that would.
func (r *runs) close() (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for len(r.waiting) > 0 {
		err = errors.Join(err, r.drop(r.waiting[0]))
	}
	return err
}

func (r *run) close() error {
	defer r.cancel()
	return r.query.Close()
}

// runnable reports whether a request may have a run: of many points, written by this process, all of them its
// organisation's own, for what others share may become more from page to page.
func (s *Stream) runnable() bool {
	r := &s.request
	return r.AllSessions && r.Scope == schema.Owned && s.feedLimit() >= leastRunPage && r.Format.Export() == "" && s.history.runs != nil
}

// sortable reports whether a run's points may be sorted here.
func (s *Stream) sortable() bool {
	h := s.history
	return s.runnable() && len(s.page.ends) > 0 && s.page.counted >= leastRunPage && arrival.Room(h.folder, s.page.counted, h.reserve)
}

// beginRun begins a query over pages of which the ends are known, the last of them included.
func (s *Stream) beginRun() error {
	r, ends := &s.request, s.page.ends
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	begun := &run{orgID: r.OrgID, scope: r.Scope, after: r.ReceivedAfter, limit: s.feedLimit(), marked: s.history.watermark.Marked(), cancel: cancel, ends: ends}
	wanted := *s.page.arrivals
	wanted.Through = ends[len(ends)-1]
	s.follow(begun)
	query, err := s.openRun(ctx, wanted)
	if err != nil {
		s.run = nil
		s.unfollow()
		cancel()
		return err
	}
	begun.query, s.query = query, query
	return nil
}

// openRun returns the points of a run in the order of their arrival.
func (s *Stream) openRun(ctx context.Context, wanted schema.Arrivals) (pointSource, error) {
	db := s.history.db
	if !s.sortable() {
		query, err := db.ReadReceived(ctx, wanted)
		if err != nil {
			return nil, err
		}
		return query, nil
	}
	stored, err := db.ReadReceivedAsStored(ctx, wanted)
	if err != nil {
		return nil, err
	}
	sorter, err := arrival.Sort(s.history.folder, s.page.steps, stored)
	if err = errors.Join(err, stored.Close()); err != nil {
		if sorter != nil {
			err = errors.Join(err, sorter.Close())
		}
		return nil, err
	}
	return sorter, nil
}

// follow makes a run end with the request, until leaveRun.
func (s *Stream) follow(r *run) {
	s.run = r
	s.unfollow = context.AfterFunc(s.ctx, r.cancel)
}

// nextOfRun returns the next point of the page, nil at its end.
func (s *Stream) nextOfRun() (*schema.DataPoint, error) {
	r := s.run
	if !r.begun && !r.query.Next() {
		s.run = nil
		s.unfollow()
		defer r.cancel()
		return nil, s.endQuery()
	}
	p := r.query.Point()
	if r.begun = r.ends[0].ReceivedAt < p.ReceivedAt; r.begun { // ends are those of times
		s.query = nil // until the next page
		return nil, nil
	}
	s.points++
	return p, nil
}

// dropRun closes the run, if there is one.
func (s *Stream) dropRun() error {
	r := s.run
	if r == nil {
		return nil
	}
	s.unfollow()
	s.run, s.page.ends = nil, nil
	return r.close()
}

// leaveRun keeps the run for the next page when this one was made to its end, and closes it otherwise.
func (s *Stream) leaveRun() error {
	r := s.run
	s.run = nil
	goesOn := s.unfollow() && s.stage == nil && r.begun
	if r.ends = r.ends[1:]; !goesOn || len(r.ends) == 0 {
		return r.close()
	}
	return s.history.runs.keep(r, s.page.next)
}
