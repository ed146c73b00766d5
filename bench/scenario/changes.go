package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

// What is promised of events about whole organisations.
const (
	changesClients     = 1000
	mostOfLongPoll     = 3.0      // from acknowledgement to event, of a long poll's
	leastBesideClients = 0.75     // of the throughput of polls beside the same writes
	mostClientMemory   = 64 << 10 // bytes a client, while everything changes
	sleepsOf           = 10       // of so many clients one reads nothing

	// leastLongPoll is what a long poll's median counts as at least: answers can be there before the acknowledgement.
	leastLongPoll = 50e3 // nanoseconds
)

// changes measures clients that wait for whatever changes in their organisations while points arrive: how soon they know
// of one change, beside long polls for it, and what they cost the service and those who poll it when everything changes.
type changes struct {
	*Stage
	o *record.Outcome

	on      *rig.Service
	clients int
	watched int      // organisations, the first ones
	cursors []string // of each of them, of what comes next
}

// Run implements Runner.
func (s *changes) Run(ctx context.Context) (err error) {
	if s.on, err = s.Lastseen(ctx); err != nil {
		return err
	}
	s.clients, s.watched = min(changesClients, s.Waiters), s.Organisations/2
	s.describeLoad(s.o)
	s.o.Describe(fmt.Sprintf("%s clients of server-sent events, spread over %d organisations of %s sessions; %s points/s written in bodies of %d over %d connections",
		record.Thousands(float64(s.clients)), s.watched, record.Thousands(float64(s.Sessions/s.Organisations)), record.Thousands(float64(s.Rate)), mixedBody, mixedWriters),
		"one change a client: the points written beside are of organisations that nobody watches, and one of a watched one at a time is waited for by all its clients; long polls likewise, as many for one session of each organisation",
		fmt.Sprintf("everything changes: the points are of all organisations, and one client in %d reads nothing", sleepsOf))
	if err := s.one(ctx); err != nil {
		return err
	}
	return s.everything(ctx)
}

// one measures how soon clients know of one change.
func (s *changes) one(ctx context.Context) error {
	offered, err := (&longPoll{Stage: s.Stage, o: s.o}).waitOffered(ctx, s.on)
	if err != nil {
		return err
	}
	if !offered {
		return fmt.Errorf("%w: the service does not honour Prefer: wait", loadgen.ErrWrongAnswer)
	}
	var polled, told []float64
	for range s.Rounds {
		if err := s.pause(); err != nil {
			return err
		}
		if err := s.loads.Sweep(ctx, s.on); err != nil { // long polls name what is there, which the round before has changed
			return err
		}
		w := s.longPolls()
		if err := s.besideWrites(ctx, func(ctx context.Context) error {
			_, err := w.run(ctx, s.loads.CPUs)
			return err
		}); err != nil {
			return err
		}
		f, err := s.openFollowers(ctx, s.clients)
		if err != nil {
			return err
		}
		err = errors.Join(s.besideWrites(ctx, func(ctx context.Context) error { return f.measure(ctx, s.wakes()) }), f.close())
		if err != nil {
			return err
		}
		polled, told = append(polled, w.delays...), append(told, f.delays...)
	}
	s.o.Add(record.Table{Title: "One change a client: from the acknowledgement of a point to its answer or event", Header: []string{"", "median", "p99"},
		Rows: [][]string{
			{"long polls of `last_seen`", record.Signed(quantile(polled, 0.5)), record.Signed(quantile(polled, 0.99))},
			{"events of `last_seen_changes`", record.Signed(quantile(told, 0.5)), record.Signed(quantile(told, 0.99))},
		}})
	s.o.Figure("one/long_poll_p50", quantile(polled, 0.5))
	s.o.Figure("one/event_p50", quantile(told, 0.5))
	s.o.Figure("one/event_p99", quantile(told, 0.99))
	slower := max(quantile(told, 0.5), 0) / max(quantile(polled, 0.5), leastLongPoll)
	s.o.Judge("median from acknowledgement to event beside the long poll's, at one change a client", "at most "+record.Times(mostOfLongPoll)+" ×", record.Times(slower)+" ×",
		slower <= mostOfLongPoll)
	return nil
}

// wakes is how many changes are measured a round.
func (s *changes) wakes() int { return min(wakes, s.clients) }

// longPolls wait for one session of each organisation that is watched, as many as there are clients.
func (s *changes) longPolls() *waiters {
	w := newWaiters(s.on, s.clients)
	w.sessions, w.wakes = w.sessions[:0], s.wakes()
	for organisation := range s.watched {
		for _, session := range s.on.Catalogue.Own[organisation] {
			if s.on.Catalogue.Etags[session] != "" {
				w.sessions = append(w.sessions, session)
				break
			}
		}
	}
	w.count = s.clients
	w.woken = make(chan struct{}, w.count)
	return w
}

// besideWrites does something while points of the organisations that nobody watches are written.
func (s *changes) besideWrites(ctx context.Context, do func(context.Context) error) error {
	others := *s.on.Catalogue
	others.Own, others.Writers = others.Own[s.watched:], others.Writers[s.watched:]
	load := s.writes(s.on, longestWrites)
	load.Source = traffic.Ingest(&others, s.on.Host, s.on.Prefix, mixedBody, 1, false)
	writing, stop := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := load.Run(writing); err != nil && writing.Err() == nil {
			stop(err)
		}
	}()
	err := do(writing)
	cause := context.Cause(writing)
	stop(nil)
	<-ended
	if cause != nil && ctx.Err() == nil {
		return cause
	}
	return err
}

// everything measures polls beside writes of all organisations, without the clients and with them, and the memory that
// they take.
func (s *changes) everything(ctx context.Context) error {
	var most [2]atomic.Int64 // without the clients and with them
	var told atomic.Int64
	plain := s.lane(s.on, nil)
	plain.name, plain.label = "beside writes", "polls beside writes"
	plain.beside = []func(context.Context) error{func(ctx context.Context) error {
		_, err := s.writes(s.on, s.loads.WarmUp+s.loads.Duration).Run(ctx)
		return err
	}}
	plain.background = []func(context.Context) error{func(ctx context.Context) error { watchMemory(ctx, s.on, &most[0]); return nil }}
	followed := plain
	followed.name, followed.label = "beside clients", fmt.Sprintf("polls beside writes and %s clients", record.Thousands(float64(s.clients)))
	followed.background = []func(context.Context) error{
		func(ctx context.Context) error { watchMemory(ctx, s.on, &most[1]); return nil },
		func(ctx context.Context) error {
			f, err := s.openFollowers(ctx, s.clients)
			if err != nil {
				return err
			}
			return errors.Join(f.read(ctx, &told), f.close())
		},
	}
	alone := s.lane(s.on, nil)
	alone.name, alone.label = "alone", "polls alone"
	lanes := []lane{alone, plain, followed}
	all, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	s.o.Add(loadTable("Everything changes: closed loop of polls", lanes, all))
	figures(s.o, "everything", lanes, all)
	limits(s.o, lanes, all)
	share := ratio(all[2], all[1], throughput)
	s.o.Judge("polls while everything changes and clients follow it, beside polls and writes without them", "at least "+record.Percent(leastBesideClients), record.Percent(share),
		share >= leastBesideClients)
	grown := max(most[1].Load()-most[0].Load(), 0)
	s.o.Judge("resident memory that clients add while everything changes", "at most "+record.Mebibytes(int64(s.clients)*mostClientMemory), record.Mebibytes(grown),
		grown <= int64(s.clients)*mostClientMemory)
	s.o.Figure("everything/bytes_per_client", float64(grown)/float64(s.clients))
	perSecond := float64(told.Load()) / float64(s.Rounds) / (s.loads.WarmUp + s.loads.Duration).Seconds()
	s.o.Figure("everything/events_per_second", perSecond)
	s.o.Note(fmt.Sprintf("While everything changed the clients were told of %s changes a second together; what changes again before a client is told of it, it is told once.", record.Thousands(perSecond)))
	return nil
}

// catchUp brings the cursors up to now.
func (s *changes) catchUp(ctx context.Context) error {
	if s.cursors == nil {
		s.cursors = make([]string, s.watched)
	}
	for organisation, cursor := range s.cursors {
		for more := true; more; {
			query := url.Values{"limit": {"10000"}}
			if cursor != "" {
				query.Set("cursor", cursor)
			}
			var page struct {
				Next string `json:"next_cursor"`
				More bool   `json:"more"`
			}
			if err := s.on.API.Call(ctx, http.MethodGet, traffic.PathChanges, query, s.on.Catalogue.Keys[organisation][0], nil, &page); err != nil {
				return fmt.Errorf("ask for what has changed: %w", err)
			}
			cursor, more = page.Next, page.More
		}
		s.cursors[organisation] = cursor
	}
	return nil
}
