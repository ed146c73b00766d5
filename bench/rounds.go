package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"lastseen/bench/loadgen"
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
func (s *suite) rounds(ctx context.Context, lanes []lane) ([][]*loadgen.Measurement, error) {
	all := make([][]*loadgen.Measurement, len(lanes))
	for round := range s.config.Rounds {
		for i, lane := range lanes {
			m, err := lane.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("measure %s: %w", lane.name, err)
			}
			s.say("round %d: %-22s %9.0f /s   p50 %8v   p99 %8v", round+1, lane.name, m.Throughput(),
				loadgen.Quantile(m.Latency, 50).Round(time.Microsecond), loadgen.Quantile(m.Latency, 99).Round(time.Microsecond))
			all[i] = append(all[i], m)
		}
	}
	return all, nil
}

// lane makes a closed-loop lane of a service, which adjust may change; adjust may be nil.
func (s *suite) lane(on *service, adjust func(*loadgen.Load)) lane {
	return lane{name: on.name, label: on.label, load: func() loadgen.Load {
		load := s.load(on)
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

// loadHeader names the columns of loadRow.
var loadHeader = []string{"", "requests/s", "of the first row", "p50", "p99", "p99.9", "server CPU a request", "client CPU a request"}

// loadTable tabulates lanes, medians over the rounds; ratios are to the first lane.
func loadTable(title string, lanes []lane, all [][]*loadgen.Measurement) Table {
	t := Table{Title: title, Header: loadHeader}
	for i, lane := range lanes {
		rounds := all[i]
		t.Rows = append(t.Rows, []string{
			lane.label, thousands(over(rounds, throughput)), times(ratio(rounds, all[0], throughput)),
			span(over(rounds, latency(50))), span(over(rounds, latency(99))), span(over(rounds, latency(99.9))),
			micros(over(rounds, serverMicros)), micros(over(rounds, clientMicros)),
		})
	}
	return t
}

// figures notes a lane's medians for programs.
func (o *Outcome) figures(prefix string, lanes []lane, all [][]*loadgen.Measurement) {
	for i, lane := range lanes {
		name := prefix + "/" + lane.name + "/"
		o.figure(name+"requests_per_second", over(all[i], throughput))
		o.figure(name+"p50", over(all[i], latency(50)))
		o.figure(name+"p99", over(all[i], latency(99)))
		o.figure(name+"p999", over(all[i], latency(99.9)))
		o.figure(name+"server_cpu_per_request", over(all[i], serverMicros)*1000)
		o.figure(name+"client_cpu_per_request", over(all[i], clientMicros)*1000)
	}
}

// limits notes where the client was the limit, or may have been.
func (o *Outcome) limits(lanes []lane, all [][]*loadgen.Measurement) {
	for i, lane := range lanes {
		for _, m := range all[i] {
			switch {
			case m.Busiest > loadgen.BusyWorker:
				o.note(fmt.Sprintf("The client was the limit of %s: its busiest worker spent %.0f %% of its time on a processor. The server could do more; give the client more --workers.", lane.name, 100*m.Busiest))
			case m.ClientLimited():
				o.note(fmt.Sprintf("Requests to %s left late although connections were free (p99 %s): the client got too little of the processors, which it shares. Latency from when a request was due includes that.",
					lane.name, span(float64(m.Lateness.ValueAtQuantile(99)))))
			default:
				continue
			}
			break
		}
	}
}

// thousands writes a number with a comma for every three digits.
func thousands(n float64) string {
	text := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// span writes nanoseconds in the unit that fits.
func span(ns float64) string {
	switch {
	case ns < 1e6:
		return fmt.Sprintf("%.0f µs", ns/1e3)
	case ns < 1e8:
		return fmt.Sprintf("%.2f ms", ns/1e6)
	case ns < 1e9:
		return fmt.Sprintf("%.0f ms", ns/1e6)
	}
	return fmt.Sprintf("%.2f s", ns/1e9)
}

func micros(n float64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprintf("%.1f µs", n)
}

func times(n float64) string {
	if n < 0.1 {
		return fmt.Sprintf("%.4f", n)
	}
	return fmt.Sprintf("%.2f", n)
}

func percent(n float64) string { return fmt.Sprintf("%.0f %%", 100*n) }

func mebibytes(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
