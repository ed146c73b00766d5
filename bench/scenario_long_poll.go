package bench

import (
	"bytes"
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
)

const (
	// maxWaiters is how many connections the suite lets the service accept.
	maxWaiters       = 60_000
	waitersASession  = 4
	wakes            = 200 // points written to wake somebody
	mostWakeMedian   = 2 * time.Millisecond
	portsAnAddress   = 20_000 // connections from one loopback address to one port
	waitSeconds      = 300
	longPollInterval = 10 * time.Millisecond
)

// longPoll holds many requests that wait for a session's next point, and measures from the
// acknowledgement of a point to the answer of those who wait for it, and of nobody else.
func longPoll(ctx context.Context, s *suite, o *Outcome) error {
	main, err := s.lastseen(ctx)
	if err != nil {
		return err
	}
	if err := s.sweep(ctx, main); err != nil {
		return err
	}
	offered, err := s.waitOffered(ctx, main)
	if err != nil {
		return err
	}
	if !offered {
		o.note("Not offered: the service does not honour `Prefer: wait` (its answer has no Preference-Applied).")
		return nil
	}
	before, err := main.resident()
	if err != nil {
		return err
	}
	w := newWaiters(main, s.config.Waiters)
	held, err := w.run(ctx, s.processors.client)
	if err != nil {
		return err
	}
	o.Settings = append(o.Settings, fmt.Sprintf("%s waiting requests, %d for each of %s sessions; %d points written %v apart, each its own request",
		thousands(float64(w.count)), waitersASession, thousands(float64(len(w.sessions))), wakes, longPollInterval))
	w.report(o, before, held)
	return nil
}

// waitOffered asks once with Prefer: wait=1.
func (s *suite) waitOffered(ctx context.Context, on *service) (bool, error) {
	session := on.catalogue.own[0][0]
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s%s?session_id=%s", on.api.base, pathLastSeen, on.catalogue.id(session)), nil)
	if err != nil {
		return false, err
	}
	request.Header.Set("Authorization", "Bearer "+on.catalogue.keys[0][0])
	request.Header.Set("If-None-Match", on.catalogue.etags[session])
	request.Header.Set("Prefer", "wait=1")
	response, err := on.api.client.Do(request)
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
	on       *service
	count    int
	sessions []int         // that are waited for
	next     int           // connection
	patience time.Duration // until a waiting request that is not woken counts as forgotten

	sent    atomic.Int64
	mu      sync.Mutex
	wanted  map[int]int64       // the timestamp of the point that was written last, by session
	arrived map[int][]time.Time // since then
	woken   chan struct{}
	delays  []float64 // from acknowledgement to answer, nanoseconds
}

func newWaiters(on *service, count int) *waiters {
	w := &waiters{
		on: on, count: min(count, maxWaiters), patience: 10 * time.Second,
		wanted: make(map[int]int64), arrived: make(map[int][]time.Time), woken: make(chan struct{}, waitersASession),
	}
	for i := range min(max(w.count/waitersASession, 1), len(on.catalogue.orgs)) {
		if on.catalogue.etags[i] != "" {
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
	c := w.on.catalogue
	x.Floor = c.newest[x.Subject].Load()
	x.Request = fmt.Appendf(x.Request[:0], "GET %s?session_id=%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nPrefer: wait=%d\r\nIf-None-Match: %s\r\n\r\n",
		pathLastSeen, c.id(x.Subject), w.on.host, c.keys[c.orgs[x.Subject]][0], waitSeconds, c.etags[x.Subject])
	w.sent.Add(1)
	return true
}

// Check implements loadgen.Source.
func (w *waiters) Check(x *loadgen.Exchange, a *loadgen.Answer) (loadgen.Outcome, error) {
	now := time.Now()
	if a.Status == 304 {
		return loadgen.Served, nil // it has waited its time
	}
	if err := w.on.catalogue.checkPoint(x, a); err != nil {
		return 0, err
	}
	w.on.catalogue.etags[x.Subject] = string(a.ETag) // all connections belong to one worker
	_, rest, _ := bytes.Cut(a.Body, timestampField)
	timestamp, _ := parseStamp(rest) // checkPoint has read it
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wanted[x.Subject] != timestamp {
		return 0, fmt.Errorf("session %s: a waiting request was woken without a new point: %.300s", w.on.catalogue.id(x.Subject), a.Body)
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
			Target: withAddresses(w.on.target, w.count), Connections: w.count, Workers: 1, Duration: time.Hour, Timeout: 2 * waitSeconds * time.Second,
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
	if held, err = w.on.resident(); err != nil {
		return 0, err
	}
	for i := range wakes {
		<-tick.C
		if err := w.wake(ctx, w.sessions[i*7919%len(w.sessions)]); err != nil {
			return 0, err
		}
	}
	return held, nil
}

// wake writes a point of a session and waits for all who wait for it.
func (w *waiters) wake(ctx context.Context, session int) error {
	c := w.on.catalogue
	timestamp := max(time.Now().UnixMilli(), c.newest[session].Load()+1)
	w.mu.Lock()
	w.wanted[session], w.arrived[session] = timestamp, nil
	w.mu.Unlock()
	body := map[string]any{"points": []map[string]any{{
		"session_id": string(c.id(session)), "latitude": 47.3, "longitude": 8.5,
		"timestamp": time.UnixMilli(timestamp).UTC().Format("2006-01-02T15:04:05.000Z"),
	}}}
	if err := w.on.api.call(ctx, http.MethodPost, pathIngest, nil, c.writers[c.orgs[session]], body, nil); err != nil {
		return fmt.Errorf("write a point: %w", err)
	}
	acknowledged := time.Now()
	c.seen(session, timestamp)
	timeout := time.NewTimer(w.patience)
	defer timeout.Stop()
	for range w.waitingFor(session) {
		select {
		case <-w.woken:
		case <-timeout.C:
			return fmt.Errorf("%w: a request that waits for session %s was not woken in %v", loadgen.ErrWrongAnswer, c.id(session), w.patience)
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

func (w *waiters) report(o *Outcome, before, held int64) {
	sorted := slices.Sorted(slices.Values(w.delays))
	at := func(share float64) float64 { return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)] }
	each := float64(held-before) / float64(w.count)
	o.Tables = append(o.Tables, Table{Title: "From the acknowledgement of a point to the answer of a waiting request (less than nothing: it was there first)",
		Header: []string{"median", "p99", "longest", "memory a waiting request"},
		Rows:   [][]string{{signed(at(0.5)), signed(at(0.99)), signed(at(1)), fmt.Sprintf("%.1f KB", each/1e3)}}})
	o.figure("wake_p50", at(0.5))
	o.figure("wake_p99", at(0.99))
	o.figure("bytes_per_waiter", each)
	o.verdict("median from acknowledgement to answer", "under "+mostWakeMedian.String(), signed(at(0.5)), at(0.5) < float64(mostWakeMedian))
	o.verdict("requests woken that waited for another session, or not woken", "0", "0", true)
}
