package scenario

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/rig"
)

// lane is one of several loads that take turns.
type lane struct {
	name, label string
	load        func() loadgen.Load // anew for each turn
	// beside runs beside the load and ends by itself, background until the load has ended and its
	// context with it.
	beside, background []func(context.Context) error
}

// run runs one turn. What fails first ends everything.
func (l lane) run(outer context.Context) (*loadgen.Measurement, error) {
	ctx, fail := context.WithCancelCause(outer)
	defer fail(nil)
	background, end := context.WithCancel(ctx)
	defer end()
	var main, others sync.WaitGroup
	start := func(group *sync.WaitGroup, ctx context.Context, run func(context.Context) error) {
		group.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				fail(err)
			}
		})
	}
	for _, run := range l.background {
		start(&others, background, run)
	}
	for _, run := range l.beside {
		start(&main, ctx, run)
	}
	var m *loadgen.Measurement
	start(&main, ctx, func(ctx context.Context) (err error) {
		m, err = l.load().Run(ctx)
		return err
	})
	main.Wait()
	end()
	others.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// rounds runs every lane once a round, in turn, so that a machine that slows down slows all of
// them. It returns each lane's measurements, by round.
func (s *Stage) rounds(ctx context.Context, lanes []lane) ([][]*loadgen.Measurement, error) {
	all := make([][]*loadgen.Measurement, len(lanes))
	for round := range s.Rounds {
		if err := s.pause(); err != nil {
			return nil, err
		}
		for i, lane := range lanes {
			m, err := lane.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("measure %s: %w", lane.name, err)
			}
			s.rig.Say("round %d: %-22s %9.0f /s   p50 %8v   p99 %8v", round+1, lane.name, m.Throughput(),
				loadgen.Quantile(m.Latency, 50).Round(time.Microsecond), loadgen.Quantile(m.Latency, 99).Round(time.Microsecond))
			all[i] = append(all[i], m)
		}
	}
	return all, nil
}

// lane makes a closed-loop lane of a service, which adjust may change; adjust may be nil.
func (s *Stage) lane(on *rig.Service, adjust func(*loadgen.Load)) lane {
	return lane{name: on.Name, label: on.Label, load: func() loadgen.Load {
		load := s.loads.Polls(on)
		if adjust != nil {
			adjust(&load)
		}
		return load
	}}
}

// median returns the middle of some values, 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[n/2]
}

// over returns the median of a figure over a lane's rounds.
func over(rounds []*loadgen.Measurement, figure func(*loadgen.Measurement) float64) float64 {
	values := make([]float64, len(rounds))
	for i, m := range rounds {
		values[i] = figure(m)
	}
	return median(values)
}

// ratio returns the median over the rounds of a's figure divided by b's in the same round.
func ratio(a, b []*loadgen.Measurement, figure func(*loadgen.Measurement) float64) float64 {
	values := make([]float64, min(len(a), len(b)))
	for i := range values {
		values[i] = figure(a[i]) / max(figure(b[i]), 1e-9)
	}
	return median(values)
}

func throughput(m *loadgen.Measurement) float64 { return m.Throughput() }

// quantile returns the value below which a share of some values lie.
func quantile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// latency returns the figure that is a quantile (percent) of the latency, in nanoseconds.
func latency(percent float64) func(*loadgen.Measurement) float64 {
	return func(m *loadgen.Measurement) float64 { return float64(m.Latency.ValueAtQuantile(percent)) }
}

func serverMicros(m *loadgen.Measurement) float64 {
	return float64(m.ServerCPU.Nanoseconds()) / 1e3 / float64(max(m.Served, 1))
}

func clientMicros(m *loadgen.Measurement) float64 {
	return float64(m.ClientCPU.Nanoseconds()) / 1e3 / float64(max(m.Served, 1))
}

// loadHeader names the columns of loadTable.
var loadHeader = []string{"", "requests/s", "of the first row", "p50", "p99", "p99.9", "server CPU a request", "client CPU a request"}

// loadTable tabulates lanes, medians over the rounds; ratios are to the first lane.
func loadTable(title string, lanes []lane, all [][]*loadgen.Measurement) record.Table {
	t := record.Table{Title: title, Header: loadHeader}
	for i, lane := range lanes {
		rounds := all[i]
		t.Rows = append(t.Rows, []string{
			lane.label, record.Thousands(over(rounds, throughput)), record.Times(ratio(rounds, all[0], throughput)),
			record.Span(over(rounds, latency(50))), record.Span(over(rounds, latency(99))), record.Span(over(rounds, latency(99.9))),
			record.Micros(over(rounds, serverMicros)), record.Micros(over(rounds, clientMicros)),
		})
	}
	return t
}

// figures notes lanes' medians for programs.
func figures(o *record.Outcome, prefix string, lanes []lane, all [][]*loadgen.Measurement) {
	for i, lane := range lanes {
		name := prefix + "/" + lane.name + "/"
		o.Figure(name+"requests_per_second", over(all[i], throughput))
		o.Figure(name+"p50", over(all[i], latency(50)))
		o.Figure(name+"p99", over(all[i], latency(99)))
		o.Figure(name+"p999", over(all[i], latency(99.9)))
		o.Figure(name+"server_cpu_per_request", over(all[i], serverMicros)*1000)
		o.Figure(name+"client_cpu_per_request", over(all[i], clientMicros)*1000)
	}
}

// limits notes where the client was the limit, or may have been.
func limits(o *record.Outcome, lanes []lane, all [][]*loadgen.Measurement) {
	for i, lane := range lanes {
		for _, m := range all[i] {
			switch {
			case m.Busiest > loadgen.BusyWorker:
				o.Note(fmt.Sprintf("The client was the limit of %s: its busiest worker spent %.0f %% of its time on a processor. The server could do more; give the client more --workers.", lane.name, 100*m.Busiest))
			case m.ClientLimited():
				o.Note(fmt.Sprintf("Requests to %s left late although connections were free (p99 %s): the client got too little of the processors, which it shares. Latency from when a request was due includes that.",
					lane.name, record.Span(float64(m.Lateness.ValueAtQuantile(99)))))
			default:
				continue
			}
			break
		}
	}
}
