package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lastseen/bench/baseline"
	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
)

// The promises of the hot path.
const (
	leastOfCeiling  = 0.90 // throughput, of the bare handler's
	mostTailLatency = 1.5  // p99 at offeredShare of the ceiling, of the bare handler's
	offeredShare    = 0.70
	leastOfEmbedded = 0.95 // throughput on a server, of that with the embedded engine: the same but for noise
)

// curveShares are the loads of the latency curves, as shares of each service's own most.
var curveShares = []float64{0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.95}

// lastSeen compares polls of last_seen with the ceiling and with what else one would use: in a closed loop,
// in an open loop at a share of the ceiling, and over a range of loads.
type lastSeen struct {
	*Stage
	o *record.Outcome

	lanes  []lane // the ceiling comes first, since ratios are to the first lane, and lastseen next
	closed [][]*loadgen.Measurement
}

// Run implements Runner.
func (s *lastSeen) Run(ctx context.Context) (err error) {
	main, err := s.Lastseen(ctx)
	if err != nil {
		return err
	}
	services, err := s.startBaselines(ctx, main)
	defer func() {
		for _, on := range services {
			err = errors.Join(err, on.Stop())
		}
	}()
	if err != nil {
		return err
	}
	s.describeLoad(s.o)
	s.o.Describe("Redis, PostgreSQL and the bare handler check no key, and Redis speaks a leaner protocol than HTTP, all in their favour")
	for _, on := range services {
		s.lanes = append(s.lanes, s.lane(on, nil))
	}
	first := min(1, len(s.lanes))
	if first == 1 && services[0].Name != baseline.Bare {
		first = 0
	}
	s.lanes = slices.Insert(s.lanes, first, s.lane(main, nil))
	if s.closed, err = s.rounds(ctx, s.lanes); err != nil {
		return err
	}
	s.o.Add(loadTable("Closed loop: every connection asks again as soon as it is answered", s.lanes, s.closed))
	figures(s.o, "closed", s.lanes, s.closed)
	limits(s.o, s.lanes, s.closed)
	if s.lanes[0].name != baseline.Bare {
		return nil
	}
	share := ratio(s.closed[1], s.closed[0], throughput)
	s.o.Judge("throughput beside the bare handler", "at least "+record.Percent(leastOfCeiling), record.Percent(share), share >= leastOfCeiling)
	if err := s.open(ctx); err != nil || s.rig.Server != nil {
		return err
	}
	return s.curves(ctx)
}

// JudgeBeside implements Beside: ClickHouse is not asked for the newest point, wherever it is.
func (s *lastSeen) JudgeBeside(embedded Runner) {
	other, ok := embedded.(*lastSeen)
	if !ok || len(s.lanes) != 2 || len(other.lanes) < 2 || s.lanes[0].name != other.lanes[0].name {
		return // one of them went without the bare server, and its lanes are in other places
	}
	share := ratio(s.closed[1], other.closed[1], throughput)
	s.o.Judge("throughput beside the embedded engine's", "at least "+record.Percent(leastOfEmbedded), record.Percent(share), share >= leastOfEmbedded)
}

// startBaselines starts what lastseen is compared with, the bare server first. What is not installed is noted.
func (s *lastSeen) startBaselines(ctx context.Context, main *rig.Service) (services []*rig.Service, err error) {
	names := s.Baselines
	if len(names) == 0 {
		names = baseline.Names
	}
	if s.rig.Server != nil { // the others are measured beside the embedded engine
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name != baseline.Bare })
	}
	for _, name := range baseline.Names {
		if !slices.Contains(names, name) {
			continue
		}
		on, absent, err := s.rig.StartBaseline(ctx, name, s.spec, main)
		if err != nil {
			return services, err
		}
		if absent != "" {
			s.o.Note(fmt.Sprintf("Left out: %s (%s; `make bench` installs it from Debian's packages where it may).", name, absent))
			continue
		}
		addVersion(s.o, on.Version)
		services = append(services, on)
	}
	return services, nil
}

// open compares latency with the ceiling's at the same offered load.
func (s *lastSeen) open(ctx context.Context) error {
	rate := offeredShare * over(s.closed[0], throughput)
	lanes := make([]lane, 2)
	for i, l := range s.lanes[:2] {
		lanes[i] = lane{name: l.name, label: l.label, load: func() loadgen.Load {
			load := l.load()
			load.Rate = rate
			return load
		}}
	}
	all, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	s.o.Add(loadTable(fmt.Sprintf("Open loop at %s requests/s, %s of the ceiling", record.Thousands(rate), record.Percent(offeredShare)), lanes, all))
	figures(s.o, "open", lanes, all)
	limits(s.o, lanes, all)
	tail := ratio(all[1], all[0], latency(99))
	s.o.Judge(fmt.Sprintf("p99 at %s of the ceiling beside the bare handler's", record.Percent(offeredShare)), "at most "+record.Times(mostTailLatency)+" ×", record.Times(tail)+" ×", tail <= mostTailLatency)
	return nil
}

// curves measures latency over a range of loads, services in turn at each.
func (s *lastSeen) curves(ctx context.Context) error {
	curves := make([]record.Curve, len(s.lanes))
	for _, share := range curveShares {
		for i, l := range s.lanes {
			load := l.load()
			load.Rate = share * over(s.closed[i], throughput)
			m, err := load.Run(ctx)
			if err != nil {
				return fmt.Errorf("measure %s at %.0f requests/s: %w", l.name, load.Rate, err)
			}
			s.rig.Say("load %3.0f %%: %-22s %9.0f /s   p99 %8s", 100*share, l.name, m.Throughput(), record.Span(latency(99)(m)))
			curves[i].Name = l.name
			curves[i].Points = append(curves[i].Points, record.CurvePoint{
				Offered: load.Rate, Achieved: m.Throughput(),
				P50: m.Latency.ValueAtQuantile(50), P99: m.Latency.ValueAtQuantile(99), P999: m.Latency.ValueAtQuantile(99.9),
			})
		}
	}
	s.o.Curves = curves
	return nil
}
