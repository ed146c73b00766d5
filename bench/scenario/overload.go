package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

const (
	overloadFactor      = 3  // of the capacity
	overloadConnections = 16 // times as many as find the capacity
	mostWhenOverloaded  = 2.0
	mostRecovery        = time.Second
)

// overload asks for three times what the service can do: of polls, of writes, and of short
// histories, which ask ClickHouse.
type overload struct {
	*Stage
	o *record.Outcome
}

// Run implements Runner.
func (s *overload) Run(ctx context.Context) error {
	o := s.o
	main, err := s.Lastseen(ctx)
	if err != nil {
		return err
	}
	o.Describe(fmt.Sprintf("capacity by a closed loop; then an open loop at %d times that over %d times as many connections, arrivals without a free connection dropped; then half the capacity, to see it recover", overloadFactor, overloadConnections),
		"latency is from when a request was sent; refused are 429 and 503; each connection polls with the keys of one organisation")
	t := record.Table{Title: "At three times the capacity", Header: []string{"", "capacity", "p99 there", "served", "p99 then", "refused", "p99 of refusals", "broken off", "no connection", "memory before → after", "recovered after"}}
	for _, kind := range s.kinds(main) {
		if err := s.pause(); err != nil {
			return err
		}
		row, err := s.one(ctx, main, kind)
		if err != nil {
			return fmt.Errorf("overload with %s: %w", kind.name, err)
		}
		t.Rows = append(t.Rows, row)
	}
	row, err := s.crowded(ctx)
	if err != nil {
		return fmt.Errorf("overload with polls past --max-connections: %w", err)
	}
	t.Rows = append(t.Rows, row)
	o.Add(t)
	o.Note("A poll costs as much to refuse as to answer, nearly all of it in the kernel. So when polls wait for processors, as many connections as keep these busy go on, and the others are refused and then not read for up to a second: their next refusal takes as long if they ask again at once. With --max-connections, in the last row, they are not even connected; there are as many clients in all.")
	return nil
}

// overloadKind is one way to overload.
type overloadKind struct {
	name        string
	connections int
	source      func(worker int) loadgen.Source
	past        int    // connections of the overload; 0 for overloadConnections times as many
	crowd       *crowd // clients past a limit on connections; may be nil
}

func (s *overload) kinds(main *rig.Service) []overloadKind {
	polls := traffic.NewPolls(main.Catalogue, main.Host, main.Prefix)
	polls.Probes, polls.Refusals, polls.Apart = true, true, true
	hours := traffic.LastHours(main.Catalogue, main.Host, s.spec.NewestAt)
	from := func(start traffic.Start) func(worker int) loadgen.Source {
		return func(worker int) loadgen.Source { return start(s.loads.Draws, worker*104729%len(s.loads.Draws)) }
	}
	return []overloadKind{
		{name: "last_seen", connections: s.loads.Connections, source: from(polls.Start)},
		{name: "ingest", connections: ingestWriters, source: ingesters(main, ingestBody, s.loads.Workers, true)},
		{name: "data_points", connections: s.loads.Connections, source: from(hours)},
	}
}

// shortTurns is how often the capacity is looked for again when nothing was served.
const shortTurns = 20

// one finds the capacity, goes past it, and comes back.
func (s *overload) one(ctx context.Context, main *rig.Service, kind overloadKind) ([]string, error) {
	quiet := main.Sockets()
	load := s.loads.Polls(main)
	load.Connections, load.Source, load.Tolerant = kind.connections, kind.source, true
	capacity, err := load.Run(ctx)
	if err != nil {
		return nil, err
	}
	// A turn can be too short for one answer where the machine has more to do.
	for turn := 0; capacity.Served == 0 && turn < shortTurns; turn++ {
		if capacity, err = load.Run(ctx); err != nil {
			return nil, err
		}
	}
	if capacity.Served == 0 {
		return nil, errors.Join(errors.New("nothing was served at all"), capacity.FirstFailure)
	}
	calm := load
	calm.Rate = capacity.Throughput() / 2
	usual, err := afterClosing(ctx, main, quiet, calm)
	if err != nil {
		return nil, err
	}
	before, err := main.Resident()
	if err != nil {
		return nil, err
	}
	past := load
	past.Rate, past.Shed, past.Connections = overloadFactor*capacity.Throughput(), true, cmp.Or(kind.past, overloadConnections*kind.connections)
	over, err := kind.overload(ctx, main, quiet, past)
	if err != nil {
		return nil, err
	}
	after, err := main.Resident()
	if err != nil {
		return nil, err
	}
	calm.WarmUp = 0
	back, err := afterClosing(ctx, main, quiet, calm)
	if err != nil {
		return nil, err
	}
	recovery, recovered := recoveryTime(usual, back)
	s.rig.Say("%s: capacity %.0f /s, served %.0f /s at %d times that, refused %d, broken off %d, recovered after %s", kind.name, capacity.Throughput(), over.Throughput(), overloadFactor, over.Refused, over.Failed, atOnce(recovery))
	return s.judge(kind, capacity, over, before, after, recovery, recovered), nil
}

const (
	// longestClosing is how long a service may take to notice that the connections of a load are closed, before
	// the next load opens its own: they count against its limit until then.
	longestClosing = 30 * time.Second
	// closingSlack is how many sockets it may have more than before the loads, such as for a poll of its metrics.
	closingSlack = 2
)

// afterClosing runs a load when the service has no more sockets open than when it was quiet.
func afterClosing(ctx context.Context, on *rig.Service, quiet int, load loadgen.Load, background ...func(context.Context) error) (*loadgen.Measurement, error) {
	if err := awaitClosing(ctx, on, quiet); err != nil {
		return nil, err
	}
	return lane{load: func() loadgen.Load { return load }, background: background}.run(ctx)
}

// overload runs the load, with the crowd beside it if there is one.
func (k *overloadKind) overload(ctx context.Context, on *rig.Service, quiet int, load loadgen.Load) (*loadgen.Measurement, error) {
	if k.crowd == nil {
		return afterClosing(ctx, on, quiet, load)
	}
	connected := make(chan struct{})
	load.Connected = func() { close(connected) }
	m, err := afterClosing(ctx, on, quiet, load, func(ctx context.Context) error { return k.crowd.run(ctx, connected) })
	if err == nil {
		k.crowd.addTo(m)
	}
	return m, err
}

func (s *overload) judge(kind overloadKind, capacity, over *loadgen.Measurement, before, after int64, recovery time.Duration, recovered bool) []string {
	p99, past := capacity.Service.ValueAtQuantile(99), over.Service.ValueAtQuantile(99)
	slower := float64(past) / float64(max(p99, 1))
	o, name := s.o, kind.name+": "
	o.Judge(name+"p99 of what is served, beside that at the capacity", "at most "+record.Times(mostWhenOverloaded)+" ×", record.Times(slower)+" ×", slower <= mostWhenOverloaded)
	o.Judge(name+"recovered after the end of the load", "within "+mostRecovery.String(), atOnce(recovery), recovered && recovery <= mostRecovery)
	o.Figure(kind.name+"/capacity", capacity.Throughput())
	o.Figure(kind.name+"/served", over.Throughput())
	o.Figure(kind.name+"/p99_ratio", slower)
	o.Figure(kind.name+"/recovery_seconds", recovery.Seconds())
	if over.FirstFailure != nil {
		o.Note(fmt.Sprintf("%s, the first of what broke off: %v.", kind.name, over.FirstFailure))
	}
	return []string{
		kind.name, record.Thousands(capacity.Throughput()) + " /s", record.Span(float64(p99)), record.Thousands(over.Throughput()) + " /s", record.Span(float64(past)),
		record.Thousands(float64(over.Refused)), record.Span(float64(over.Refusal.ValueAtQuantile(99))), record.Thousands(float64(over.Failed)), record.Thousands(float64(over.Unsent)),
		record.Mebibytes(before) + " → " + record.Mebibytes(after), atOnce(recovery),
	}
}

// atOnce writes a time that is known to a tenth of a second.
func atOnce(d time.Duration) string {
	if d == 0 {
		return "under 100ms"
	}
	return d.String()
}

// recoveryTime returns when, after the overload, tenths of a second are again as they were: the
// slowest answer at most three times the usual slowest.
func recoveryTime(usual, back *loadgen.Measurement) (time.Duration, bool) {
	var slowest []float64
	for _, w := range usual.Timeline {
		if w.Served > 0 {
			slowest = append(slowest, float64(w.Slowest))
		}
	}
	limit := time.Duration(3 * median(slowest))
	for i, w := range back.Timeline {
		if w.Served > 0 && w.Slowest <= limit {
			return time.Duration(i) * 100 * time.Millisecond, true
		}
	}
	return time.Duration(len(back.Timeline)) * 100 * time.Millisecond, false
}
