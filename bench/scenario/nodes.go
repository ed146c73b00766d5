package scenario

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
)

// What is promised of several nodes while nothing fails.
const (
	nodesCount       = 3
	leastOfAlone     = 0.95                 // polls on a follower, of those on a node that is alone
	mostAcknowledged = 2 * time.Millisecond // the p99 of an acknowledgement, more than on a node that is alone
	nodesBody        = 10                   // points of a body
	nodesWriters     = 4
	leastGrowth      = 0.8 // of the polls of one node that each further one adds, on a processor of its own
)

// nodes measures a service of several nodes beside a node that is alone, each on a database of the same ClickHouse server, and
// what clients notice when a node or the server fails.
type nodes struct {
	*Stage
	o *record.Outcome

	on     *rig.Rig // on a server, which is killed
	single *rig.Service
	nodes  *rig.Nodes
	leader int
}

// Run implements Runner.
func (s *nodes) Run(ctx context.Context) (err error) {
	stop, err := s.start(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	s.describeLoad(s.o)
	s.o.Describe(fmt.Sprintf("%d nodes and one that is alone, on a ClickHouse server of their own, each a process on this machine, with --ingest-interval 0s: a change is acknowledged as soon as it can be", nodesCount),
		fmt.Sprintf("acknowledgements: bodies of %d points over %d connections, one after the other on each", nodesBody, nodesWriters))
	if err := s.polls(ctx); err != nil {
		return err
	}
	if err := s.acknowledgements(ctx); err != nil {
		return err
	}
	if err := s.failures(ctx); err != nil {
		return err
	}
	return s.growth(ctx)
}

// start starts all that is measured. What stops it is there even where it fails.
func (s *nodes) start(ctx context.Context) (stop func() error, err error) {
	var stops []func() error
	stop = func() error {
		var errs []error
		for i := len(stops) - 1; i >= 0; i-- {
			errs = append(errs, stops[i]())
		}
		return errors.Join(errs...)
	}
	if s.on, err = s.rig.WithServer(ctx, "nodes"); err != nil {
		return stop, err
	}
	stops = append(stops, func() error { return s.on.Server.Close(ctx) })
	spec := s.spec
	spec.Merged = true
	if s.single, err = s.on.StartLastseen(ctx, "single", spec, "--ingest-interval", "0s", "--admin-addr", ""); err != nil {
		return stop, err
	}
	stops = append(stops, s.single.Stop)
	if s.nodes, err = rig.StartNodes(ctx, s.on, "nodes", spec, nodesCount, "--ingest-interval", "0s"); err != nil {
		return stop, err
	}
	stops = append(stops, s.nodes.Stop)
	for _, on := range []*rig.Service{s.single, s.nodes.All[0].Service, s.nodes.All[1].Service, s.nodes.All[2].Service} {
		if err := s.loads.Sweep(ctx, on); err != nil {
			return stop, fmt.Errorf("ask for every session once: %w", err)
		}
	}
	s.leader, err = s.nodes.Leader(ctx)
	return stop, err
}

// follower is a node that does not lead.
func (s *nodes) follower() *rig.Node { return s.nodes.Others(s.leader)[0] }

// polls compares polls on a follower with those on a node that is alone.
func (s *nodes) polls(ctx context.Context) error {
	lanes := []lane{
		s.named("alone", "a node that is alone", s.single, nil),
		s.named("follower", "**a follower** of three nodes", s.follower().Service, nil),
		s.named("leader", "their leader", s.nodes.All[s.leader].Service, nil),
	}
	all, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	s.o.Add(loadTable("Closed loop of polls", lanes, all))
	figures(s.o, "polls", lanes, all)
	limits(s.o, lanes, all)
	share := ratio(all[1], all[0], throughput)
	s.o.Judge("polls on a follower beside those on a node that is alone", "at least "+record.Percent(leastOfAlone), record.Percent(share), share >= leastOfAlone)
	return nil
}

// named is a lane with a name of its own.
func (s *nodes) named(name, label string, on *rig.Service, adjust func(*loadgen.Load)) lane {
	l := s.lane(on, adjust)
	l.name, l.label = name, label
	return l
}

// acknowledgements compares how soon points are acknowledged.
func (s *nodes) acknowledgements(ctx context.Context) error {
	writes := func(name, label string, on *rig.Service) lane {
		return s.named(name, label, on, func(l *loadgen.Load) {
			l.Connections, l.Workers, l.Source = nodesWriters, 1, ingesters(on, nodesBody, 1, false)
		})
	}
	lanes := []lane{
		writes("alone", "a node that is alone", s.single),
		writes("leader", "**the leader** of three nodes", s.nodes.All[s.leader].Service),
		writes("follower", "a follower, which hands them to the leader", s.follower().Service),
	}
	all, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	table := record.Table{Title: "Acknowledgements", Header: []string{"", "bodies/s", "p50", "p99", "p99 more than alone"}}
	for i, l := range lanes {
		more := slower(all[i], all[0])
		table.Rows = append(table.Rows, []string{l.label, record.Thousands(over(all[i], throughput)), record.Span(over(all[i], latency(50))), record.Span(over(all[i], latency(99))), record.Signed(more)})
		s.o.Figure("acknowledgements/"+l.name+"/p50", over(all[i], latency(50)))
		s.o.Figure("acknowledgements/"+l.name+"/p99", over(all[i], latency(99)))
	}
	s.o.Add(table)
	more := slower(all[1], all[0])
	s.o.Judge("p99 of an acknowledgement with three nodes, more than alone", "at most "+record.Span(float64(mostAcknowledged)), record.Signed(more), more <= float64(mostAcknowledged))
	return nil
}

// slower is the median over the rounds of how much longer a's p99 is than b's in the same round, in nanoseconds.
func slower(a, b []*loadgen.Measurement) float64 {
	values := make([]float64, min(len(a), len(b)))
	for i := range values {
		values[i] = latency(99)(a[i]) - latency(99)(b[i])
	}
	return median(values)
}

// growth measures polls on one node and on several, each with its client on a processor of its own.
func (s *nodes) growth(ctx context.Context) error {
	count := min(runtime.NumCPU(), nodesCount)
	if count < 2 {
		s.o.Note("Left out: polls summed over nodes on a processor each, for there is only one.")
		return nil
	}
	if err := errors.Join(s.single.Stop(), s.nodes.Stop()); err != nil {
		return err
	}
	s.nodes.Pin()
	for i := range count {
		if err := s.nodes.Start(i); err != nil {
			return err
		}
	}
	for i := range count {
		if err := errors.Join(s.nodes.AwaitReady(ctx, i), s.loads.Sweep(ctx, s.nodes.All[i].Service)); err != nil {
			return err
		}
	}
	var one, all []float64
	for round := range s.Rounds {
		alone, err := s.together(ctx, 1)
		if err != nil {
			return err
		}
		sum, err := s.together(ctx, count)
		if err != nil {
			return err
		}
		s.rig.Say("round %d: one node %.0f /s, %d nodes %.0f /s", round+1, alone, count, sum)
		one, all = append(one, alone), append(all, sum)
	}
	s.o.Add(record.Table{Title: "Polls summed over nodes, each with its client on one processor", Header: []string{"nodes", "requests/s"}, Rows: [][]string{
		{"1", record.Thousands(median(one))}, {fmt.Sprint(count), record.Thousands(median(all))},
	}})
	s.o.Figure("growth/1/requests_per_second", median(one))
	s.o.Figure(fmt.Sprintf("growth/%d/requests_per_second", count), median(all))
	least := 1 + leastGrowth*float64(count-1)
	found := median(all) / max(median(one), 1)
	s.o.Judge(fmt.Sprintf("polls summed over %d nodes on a processor each, beside one", count), "at least "+record.Times(least)+" ×", record.Times(found)+" ×", found >= least)
	s.o.Note(fmt.Sprintf("This machine has %d processors, which the clients and ClickHouse share with the nodes: what more nodes add was not measured.", runtime.NumCPU()))
	return nil
}

// together polls the first nodes at the same time and returns the requests a second that they answered together.
func (s *nodes) together(ctx context.Context, count int) (sum float64, err error) {
	measured, errs := make([]*loadgen.Measurement, count), make([]error, count)
	var running sync.WaitGroup
	for i := range count {
		load := s.loads.Polls(s.nodes.All[i].Service)
		load.Workers, load.CPUs = 1, []int{i}
		running.Go(func() { measured[i], errs[i] = load.Run(ctx) })
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, fmt.Errorf("poll %d nodes at the same time: %w", count, err)
	}
	for _, m := range measured {
		sum += m.Throughput()
	}
	return sum, nil
}
