package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lastseen/bench/loadgen"
	"lastseen/bench/rival"
)

// The promises of the hot path.
const (
	leastOfCeiling  = 0.90 // throughput, of the bare handler's
	mostTailLatency = 1.5  // p99 at offeredShare of the ceiling, of the bare handler's
	offeredShare    = 0.70
)

// curveShares are the loads of the latency curves, as shares of each contender's own most.
var curveShares = []float64{0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.95}

// lastSeen compares polls of last_seen with the ceiling and with what else one would use: in a
// closed loop, in an open loop at a share of the ceiling, and over a range of loads.
func lastSeen(ctx context.Context, s *suite, o *Outcome) (err error) {
	main, err := s.lastseen(ctx)
	if err != nil {
		return err
	}
	services, err := s.startRivals(ctx, main, o)
	defer func() {
		for _, on := range services {
			err = errors.Join(err, on.stop())
		}
	}()
	if err != nil {
		return err
	}
	s.describeLoad(o)
	o.Settings = append(o.Settings, "Redis, PostgreSQL and the bare handler check no key, and Redis speaks a leaner protocol than HTTP, all in their favour")
	var lanes []lane
	for _, on := range services {
		lanes = append(lanes, s.lane(on, nil))
	}
	// The ceiling comes first, since ratios are to the first lane, and lastseen next.
	first := min(1, len(lanes))
	if first == 1 && services[0].name != rival.Bare {
		first = 0
	}
	lanes = slices.Insert(lanes, first, s.lane(main, nil))
	closed, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	o.Tables = append(o.Tables, loadTable("Closed loop: every connection asks again as soon as it is answered", lanes, closed))
	o.figures("closed", lanes, closed)
	o.limits(lanes, closed)
	if lanes[0].name != rival.Bare {
		return nil
	}
	share := ratio(closed[1], closed[0], throughput)
	o.verdict("throughput beside the bare handler", "at least "+percent(leastOfCeiling), percent(share), share >= leastOfCeiling)
	ceiling := over(closed[0], throughput)
	if err := lastSeenOpen(ctx, s, o, lanes[:2], ceiling); err != nil {
		return err
	}
	return s.curves(ctx, o, lanes, closed)
}

// startRivals starts the contenders, the bare server first. What is not installed is noted.
func (s *suite) startRivals(ctx context.Context, main *service, o *Outcome) (services []*service, err error) {
	names := s.config.Contenders
	if len(names) == 0 {
		names = rivalNames
	}
	for _, name := range rivalNames {
		if !slices.Contains(names, name) {
			continue
		}
		on, absent, err := s.startRival(ctx, name, main)
		if err != nil {
			return services, err
		}
		if absent != "" {
			o.note(fmt.Sprintf("Left out: %s (%s; `make bench` installs it from Debian's packages where it may).", name, absent))
			continue
		}
		if on.version != "" {
			o.Versions = append(o.Versions, on.version)
		}
		services = append(services, on)
	}
	return services, nil
}

// describeLoad notes how the polls are made.
func (s *suite) describeLoad(o *Outcome) {
	o.Settings = append(o.Settings,
		fmt.Sprintf("%s sessions of %d organisations with %d keys each; popularity by Zipf with exponent %v; one request in %d is for another organisation's session",
			thousands(float64(s.config.Sessions)), s.config.Organisations, s.config.KeysPerOrganisation, s.config.Zipf, foreignEvery),
		fmt.Sprintf("%d connections, keep-alive, %d client worker(s)", s.config.Connections, s.config.workers()),
		fmt.Sprintf("%d rounds of %v after %v of warm-up, in turn; figures are medians over the rounds", s.config.Rounds, s.config.Duration, s.config.WarmUp))
}

// lastSeenOpen compares latency at the same offered load.
func lastSeenOpen(ctx context.Context, s *suite, o *Outcome, lanes []lane, ceiling float64) error {
	rate := offeredShare * ceiling
	open := make([]lane, len(lanes))
	for i, l := range lanes {
		open[i] = lane{name: l.name, label: l.label, load: func() loadgen.Load {
			load := l.load()
			load.Rate = rate
			return load
		}}
	}
	all, err := s.rounds(ctx, open)
	if err != nil {
		return err
	}
	o.Tables = append(o.Tables, loadTable(fmt.Sprintf("Open loop at %s requests/s, %s of the ceiling", thousands(rate), percent(offeredShare)), open, all))
	o.figures("open", open, all)
	o.limits(open, all)
	tail := ratio(all[1], all[0], latency(99))
	o.verdict(fmt.Sprintf("p99 at %s of the ceiling beside the bare handler's", percent(offeredShare)), "at most "+times(mostTailLatency)+" ×", times(tail)+" ×", tail <= mostTailLatency)
	return nil
}

// curves measures latency over a range of loads, contenders in turn at each.
func (s *suite) curves(ctx context.Context, o *Outcome, lanes []lane, closed [][]*loadgen.Measurement) error {
	curves := make([]Curve, len(lanes))
	for _, share := range curveShares {
		for i, l := range lanes {
			load := l.load()
			load.Rate = share * over(closed[i], throughput)
			m, err := load.Run(ctx)
			if err != nil {
				return fmt.Errorf("measure %s at %.0f requests/s: %w", l.name, load.Rate, err)
			}
			s.say("load %3.0f %%: %-22s %9.0f /s   p99 %8s", 100*share, l.name, m.Throughput(), span(latency(99)(m)))
			curves[i].Name = l.name
			curves[i].Points = append(curves[i].Points, CurvePoint{
				Offered: load.Rate, Achieved: m.Throughput(),
				P50: m.Latency.ValueAtQuantile(50), P99: m.Latency.ValueAtQuantile(99), P999: m.Latency.ValueAtQuantile(99.9),
			})
		}
	}
	o.Curves = curves
	return nil
}

// lastSeen304 compares polls that find nothing new with those that fetch the point.
func lastSeen304(ctx context.Context, s *suite, o *Outcome) error {
	main, err := s.lastseen(ctx)
	if err != nil {
		return err
	}
	if err := s.sweep(ctx, main); err != nil { // writes of an earlier scenario have changed the tags
		return fmt.Errorf("learn the entity tags: %w", err)
	}
	s.describeLoad(o)
	conditional := pollSource(main, poller{conditional: true})
	full := s.lane(main, nil)
	full.name, full.label = "200", "last_seen, 200 with the point"
	unchanged := s.lane(main, func(l *loadgen.Load) {
		at := s.runs * 7919 % len(s.draws)
		l.Source = func(worker int) loadgen.Source {
			return conditional(s.draws, (at+worker*104729)%len(s.draws))
		}
	})
	unchanged.name, unchanged.label = "304", "last_seen, 304 Not Modified"
	lanes := []lane{full, unchanged}
	all, err := s.rounds(ctx, lanes)
	if err != nil {
		return err
	}
	o.Tables = append(o.Tables, loadTable("Closed loop", lanes, all))
	o.figures("closed", lanes, all)
	o.limits(lanes, all)
	share := ratio(all[1], all[0], throughput)
	o.verdict("throughput of 304 beside 200", "at least 1.00 ×", times(share)+" ×", share >= 1)
	return nil
}
