package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

const (
	waitersASession  = 4
	wakes            = 200 // points written to wake somebody
	mostWakeMedian   = 2 * time.Millisecond
	portsAnAddress   = 20_000 // connections from one loopback address to one port
	waitSeconds      = 300
	longPollInterval = 10 * time.Millisecond
)

// longPoll holds many requests that wait for a session's next point, and measures from the
// acknowledgement of a point to the answer of those who wait for it, and of nobody else.
type longPoll struct {
	*Stage
	o *record.Outcome
}

// Run implements Runner.
func (s *longPoll) Run(ctx context.Context) error {
	o := s.o
	main, err := s.Lastseen(ctx)
	if err != nil {
		return err
	}
	if err := s.loads.Sweep(ctx, main); err != nil {
		return err
	}
	offered, err := s.waitOffered(ctx, main)
	if err != nil {
		return err
	}
	if !offered {
		o.Note("Not offered: the service does not honour `Prefer: wait` (its answer has no Preference-Applied).")
		return nil
	}
	before, err := main.Resident()
	if err != nil {
		return err
	}
	w := newWaiters(main, s.Waiters)
	held, err := w.run(ctx, s.loads.CPUs)
	if err != nil {
		return err
	}
	o.Describe(fmt.Sprintf("%s waiting requests, %d for each of %s sessions; %d points written %v apart, each its own request",
		record.Thousands(float64(w.count)), waitersASession, record.Thousands(float64(len(w.sessions))), wakes, longPollInterval))
	w.report(o, before, held)
	return nil
}

// waitOffered asks once with Prefer: wait=1.
func (s *longPoll) waitOffered(ctx context.Context, on *rig.Service) (bool, error) {
	session := on.Catalogue.Own[0][0]
	response, err := on.PollOnce(ctx, on.Catalogue.Keys[0][0], session, "If-None-Match", on.Catalogue.Etags[session], "Prefer", "wait=1")
	if err != nil {
		return false, fmt.Errorf("ask for a long poll: %w", err)
	}
	return response.Header.Get("Preference-Applied") != "", response.Body.Close()
}

// withAddresses adds as many loopback addresses as that many connections need ports.
func withAddresses(target loadgen.Target, connections int) loadgen.Target {
	if host, _, err := net.SplitHostPort(target.Address); err == nil && host == "127.0.0.1" {
		for i := range connections/portsAnAddress + 1 {
			target.SourceAddresses = append(target.SourceAddresses, fmt.Sprintf("127.0.0.%d", i+1))
		}
	}
	return target
}

// waiters is the source of all waiting requests, and the record of who was woken when.
type waiters struct {
	on       *rig.Service
	count    int
	sessions []int         // that are waited for
	next     int           // connection
	patience time.Duration // until a waiting request that is not woken counts as forgotten
	wakes    int           // points that are written

	sent    atomic.Int64
	mu      sync.Mutex
	wanted  map[int]int64       // the timestamp of the point that was written last, by session
	arrived map[int][]time.Time // since then
	woken   chan struct{}
	delays  []float64 // from acknowledgement to answer, nanoseconds
}

func newWaiters(on *rig.Service, count int) *waiters {
	w := &waiters{
		on: on, count: min(count, rig.MaxWaiters), patience: 10 * time.Second, wakes: wakes,
		wanted: make(map[int]int64), arrived: make(map[int][]time.Time), woken: make(chan struct{}, waitersASession),
	}
	for i := range min(max(w.count/waitersASession, 1), len(on.Catalogue.Orgs)) {
		if on.Catalogue.Etags[i] != "" {
			w.sessions = append(w.sessions, i)
		}
	}
	w.count = min(w.count, len(w.sessions)*waitersASession)
	return w
}

// Prepare implements loadgen.Source.
func (w *waiters) Prepare(x *loadgen.Exchange) bool {
	if x.Expect == 0 { // a connection's first request: which session it is to wait for
		x.Subject = w.sessions[w.next%len(w.sessions)]
		w.next++
		x.Expect = 1
	}
	c := w.on.Catalogue
	x.Floor = c.Newest(x.Subject)
	x.Request = fmt.Appendf(x.Request[:0], "GET %s?session_id=%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nPrefer: wait=%d\r\nIf-None-Match: %s\r\n\r\n",
		traffic.PathLastSeen, c.ID(x.Subject), w.on.Host, c.Keys[c.Orgs[x.Subject]][0], waitSeconds, c.Etags[x.Subject])
	w.sent.Add(1)
	return true
}

// Check implements loadgen.Source.
func (w *waiters) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	now := time.Now()
	if a.Status == 304 {
		return loadgen.Served, nil // it has waited its time
	}
	if err := w.on.Catalogue.CheckPoint(x, a); err != nil {
		return 0, err
	}
	w.on.Catalogue.Etags[x.Subject] = string(a.ETag) // all connections belong to one worker
	timestamp, _ := traffic.TimestampOf(a)           // CheckPoint has read it
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wanted[x.Subject] != timestamp {
		return 0, fmt.Errorf("session %s: a waiting request was woken without a new point: %.300s", w.on.Catalogue.ID(x.Subject), a.Body)
	}
	w.arrived[x.Subject] = append(w.arrived[x.Subject], now)
	w.woken <- struct{}{}
	return loadgen.Served, nil
}

// run holds the requests and wakes them. It returns the service's memory while all wait.
func (w *waiters) run(ctx context.Context, cpus []int) (held int64, err error) {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := loadgen.Load{
			Target: withAddresses(w.on.Target, w.count), Connections: w.count, Workers: 1, Duration: time.Hour, Timeout: 2 * waitSeconds * time.Second,
			CPUs: cpus, Source: func(int) loadgen.Source { return w },
		}.Run(waiting)
		ended <- err
		stop() // whoever waits for an answer waits in vain now
	}()
	held, err = w.measure(waiting)
	stop()
	if loadErr := <-ended; loadErr != nil && !errors.Is(loadErr, context.Canceled) {
		err = loadErr // it is the cause of what measure met
	}
	return held, err
}

// measure waits until all requests wait, then writes points and collects who is woken. It returns
// the service's memory while all wait.
func (w *waiters) measure(ctx context.Context) (held int64, err error) {
	tick := time.NewTicker(longPollInterval)
	defer tick.Stop()
	for w.sent.Load() < int64(w.count) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if held, err = w.on.Resident(); err != nil {
		return 0, err
	}
	for i := range w.wakes {
		<-tick.C
		if err := w.wake(ctx, w.sessions[i*7919%len(w.sessions)]); err != nil {
			return 0, err
		}
	}
	return held, nil
}

// wake writes a point of a session and waits for all who wait for it.
func (w *waiters) wake(ctx context.Context, session int) error {
	c := w.on.Catalogue
	timestamp := max(time.Now().UnixMilli(), c.Newest(session)+1)
	w.mu.Lock()
	w.wanted[session], w.arrived[session] = timestamp, nil
	w.mu.Unlock()
	acknowledged, err := writeOne(ctx, w.on, session, timestamp)
	if err != nil {
		return err
	}
	timeout := time.NewTimer(w.patience)
	defer timeout.Stop()
	for range w.waitingFor(session) {
		select {
		case <-w.woken:
		case <-timeout.C:
			return fmt.Errorf("%w: a request that waits for session %s was not woken in %v", loadgen.ErrWrongAnswer, c.ID(session), w.patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.arrived[session] {
		w.delays = append(w.delays, float64(at.Sub(acknowledged)))
	}
	return nil
}

// waitingFor is how many connections wait for a session.
func (w *waiters) waitingFor(session int) int {
	i := slices.Index(w.sessions, session)
	n := w.count / len(w.sessions)
	if i < w.count%len(w.sessions) {
		n++
	}
	return n
}

func (w *waiters) report(o *record.Outcome, before, held int64) {
	at := func(share float64) float64 { return quantile(w.delays, share) }
	each := float64(held-before) / float64(w.count)
	o.Add(record.Table{Title: "From the acknowledgement of a point to the answer of a waiting request (less than nothing: it was there first)",
		Header: []string{"median", "p99", "longest", "memory a waiting request"},
		Rows:   [][]string{{record.Signed(at(0.5)), record.Signed(at(0.99)), record.Signed(at(1)), fmt.Sprintf("%.1f KB", each/1e3)}}})
	o.Figure("wake_p50", at(0.5))
	o.Figure("wake_p99", at(0.99))
	o.Figure("bytes_per_waiter", each)
	o.Judge("median from acknowledgement to answer", "under "+mostWakeMedian.String(), record.Signed(at(0.5)), at(0.5) < float64(mostWakeMedian))
	o.Judge("requests woken that waited for another session, or not woken", "0", "0", true)
}

// writeOne writes a point of a session and returns when that was acknowledged.
func writeOne(ctx context.Context, on *rig.Service, session int, timestamp int64) (acknowledged time.Time, _ error) {
	c := on.Catalogue
	body := map[string]any{"points": []map[string]any{traffic.Point(c.ID(session), timestamp)}}
	if err := on.API.Call(ctx, http.MethodPost, traffic.PathIngest, nil, c.Writers[c.Orgs[session]], body, nil); err != nil {
		return acknowledged, fmt.Errorf("write a point: %w", err)
	}
	acknowledged = time.Now()
	c.Seen(session, timestamp)
	return acknowledged, nil
}
