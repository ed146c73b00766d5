package scenario

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/record"
)

// soakSegments is how many lines a soak reports at most; a segment lasts at least a second.
const soakSegments = 60

// soakForTrend is how long a soak must be to say something of the growth of memory.
const soakForTrend = 10 * time.Minute

// soak writes at the configured rate and polls at half of what it could beside that, for as long as it is told, and
// looks for what creeps: memory, latency, failures.
type soak struct {
	*Stage
	o *record.Outcome
}

// Run implements Runner.
func (s *soak) Run(ctx context.Context) error {
	o := s.o
	main, err := s.Lastseen(ctx)
	if err != nil {
		return err
	}
	s.describeLoad(o)
	segment := max(s.Soak/soakSegments, min(s.Soak, time.Second))
	o.Describe(fmt.Sprintf("%v in segments of %v; polls in an open loop at half of what a closed one does beside the rest; %s points/s written; keys made and revoked",
		s.Soak, segment, record.Thousands(float64(s.Rate))))
	revoked := new(atomic.Int64)
	rate := 0.0 // a closed loop
	l := s.lane(main, func(l *loadgen.Load) { l.Rate, l.WarmUp, l.Duration = rate, 0, segment })
	l.beside = []func(context.Context) error{func(ctx context.Context) error { _, err := s.writes(main, segment).Run(ctx); return err }}
	l.background = []func(context.Context) error{func(ctx context.Context) error { return revokeAgainAndAgain(ctx, main, revoked) }}
	capacity, err := l.run(ctx)
	if err != nil {
		return fmt.Errorf("find the capacity: %w", err)
	}
	rate = capacity.Throughput() / 2
	t := record.Table{Title: "Over time", Header: []string{"after", "polls/s", "p50", "p99", "p99.9", "resident memory"}}
	var hours, resident []float64
	began := time.Now()
	for time.Since(began) < s.Soak {
		if err := s.pause(); err != nil {
			return err
		}
		m, err := l.run(ctx)
		if err != nil {
			return fmt.Errorf("after %v: %w", time.Since(began).Round(time.Second), err)
		}
		memory, err := main.Resident()
		if err != nil {
			return err
		}
		after := time.Since(began)
		hours, resident = append(hours, after.Hours()), append(resident, float64(memory))
		row := []string{after.Round(time.Second).String(), record.Thousands(m.Throughput()), record.Span(latency(50)(m)), record.Span(latency(99)(m)), record.Span(latency(99.9)(m)), record.Mebibytes(memory)}
		t.Rows = append(t.Rows, row)
		s.rig.Say("%v", row)
	}
	o.Add(t)
	half := len(hours) / 2
	growth := slope(hours[half:], resident[half:])
	o.Figure("memory_growth_bytes_per_hour", growth)
	if s.Soak >= soakForTrend {
		o.Note(fmt.Sprintf("Over the second half resident memory grew by %.1f MiB an hour.", growth/(1<<20)))
	}
	o.Note(fmt.Sprintf("%d keys were revoked, each refused at once; no answer was wrong.", revoked.Load()))
	o.Judge("wrong answers and failures", "0", "0", true)
	return nil
}

// slope is that of the line through some points that fits best, 0 for fewer than two.
func slope(x, y []float64) float64 {
	var sumX, sumY, sumXX, sumXY float64
	n := float64(len(x))
	for i := range x {
		sumX, sumY, sumXX, sumXY = sumX+x[i], sumY+y[i], sumXX+x[i]*x[i], sumXY+x[i]*y[i]
	}
	if divisor := n*sumXX - sumX*sumX; divisor > 0 {
		return (n*sumXY - sumX*sumY) / divisor
	}
	return 0
}
