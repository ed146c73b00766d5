package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lastseen/bench/dataset"
	"lastseen/bench/loadgen"
	"lastseen/bench/record"
	"lastseen/bench/traffic"
)

const (
	mostBytesASession = 500
	mostOfHandOut     = 3.0     // of the time in which ClickHouse alone hands out what a start reads
	enoughSessions    = 500_000 // to tell what one of them costs from the noise
)

// coldStart starts the service on a full data set, beside ClickHouse alone, and polls it at once with every key and session.
type coldStart struct {
	*Stage
	o *record.Outcome
}

// coldRun is what a start was like.
type coldRun struct {
	ready, handOut time.Duration        // medians of the starts, and of ClickHouse handing out what they read
	ratio          float64              // the median of their ratios; of no meaning without rounds
	polls          *loadgen.Measurement // from the moment on at which the last one was ready
	resident       int64                // at the end, bytes
}

// Run implements Runner.
func (s *coldStart) Run(ctx context.Context) error {
	o := s.o
	s.describeLoad(o)
	o.Describe("a start lasts from the start of the process to /readyz; ClickHouse alone hands the same rows out in its Native format to a reader that discards them, " +
		"in a process that has just opened the store, one table after the other; opening it counts for the start alone")
	empty := s.spec
	empty.Sessions = 2 * empty.Organisations
	without, err := s.run(ctx, "cold-empty", empty, 0)
	if err != nil {
		return err
	}
	with, err := s.run(ctx, "cold", s.spec, s.Rounds)
	if err != nil {
		return err
	}
	steady, rate := steadyAfter(with.polls)
	sessions := float64(s.spec.Sessions)
	each := float64(with.resident-without.resident) / float64(s.spec.Sessions-empty.Sessions)
	aSession := float64(with.ready.Nanoseconds()) / sessions
	o.Add(record.Table{Title: "A start", Header: []string{"", ""}, Rows: [][]string{
		{"from the start of the process to /readyz", with.ready.Round(time.Millisecond).String()},
		{"a session", record.Span(aSession)},
		{"with " + record.Thousands(float64(empty.Sessions)) + " sessions", without.ready.Round(time.Millisecond).String()},
		{"ClickHouse alone hands out the rows in", with.handOut.Round(time.Millisecond).String()},
		{"sessions in memory by then", record.Thousands(sessions)},
		{"polls in the first tenth of a second", record.Thousands(float64(with.polls.Timeline[0].Served))},
		{"the slowest of all", record.Span(float64(with.polls.Latency.Max()))},
		{"steady state, in tenths of a second", record.Thousands(rate)},
		{"reached after", steady.String()},
		{"resident memory with " + record.Thousands(float64(empty.Sessions)) + " sessions", record.Mebibytes(without.resident)},
		{"and with all", record.Mebibytes(with.resident)},
		{"a session", fmt.Sprintf("%.0f bytes", each)},
	}})
	o.Figure("ready_seconds", with.ready.Seconds())
	o.Figure("hand_out_seconds", with.handOut.Seconds())
	o.Figure("start_beside_clickhouse", with.ratio)
	o.Figure("start_nanoseconds_per_session", aSession)
	o.Figure("steady_seconds", steady.Seconds())
	o.Figure("bytes_per_session", each)
	wrong := with.polls.Failed + with.polls.Refused
	o.Judge("answers that were not 200 from the first moment of /readyz on", "0", fmt.Sprint(wrong), wrong == 0)
	o.Judge("steady state", "within 1s", steady.String(), steady <= time.Second)
	if s.spec.Sessions < enoughSessions {
		o.Note(fmt.Sprintf("The memory a session and the time of a start are not judged below %s sessions: what a process takes without any is more.", record.Thousands(enoughSessions)))
		return nil
	}
	o.Judge("resident memory a session, all in", fmt.Sprintf("at most %d bytes", mostBytesASession), fmt.Sprintf("%.0f bytes", each), each <= mostBytesASession)
	o.Judge("a start beside ClickHouse alone handing out what it reads", "at most "+record.Times(mostOfHandOut)+" ×", record.Times(with.ratio)+" ×", with.ratio <= mostOfHandOut)
	return nil
}

// run loads data and makes keys, and then has ClickHouse hand the rows out and the service start, in turn; the service of the
// last round is polled. Without rounds the service only starts.
func (s *coldStart) run(ctx context.Context, name string, spec dataset.Spec, rounds int) (run coldRun, err error) {
	on, err := s.rig.StartLastseen(ctx, name, spec)
	if err != nil {
		return run, err
	}
	known := on.Catalogue
	if err := on.Stop(); err != nil {
		return run, err
	}
	var starts, handOuts, ratios []float64
	for {
		var handOut float64
		if rounds > 0 {
			s.rig.Say("having ClickHouse hand out what a start reads")
			found, err := s.rig.MeasureHandOut(ctx, name)
			if err != nil {
				return run, err
			}
			handOut = found.Seconds[0] * float64(time.Second)
		}
		began := time.Now()
		if on, err = s.rig.Serve(ctx, name); err != nil {
			return run, err
		}
		ready := float64(time.Since(began))
		starts, handOuts, ratios = append(starts, ready), append(handOuts, handOut), append(ratios, ready/handOut)
		if len(starts) >= rounds {
			break
		}
		if err := on.Stop(); err != nil {
			return run, err
		}
	}
	defer func() { err = errors.Join(err, on.Stop()) }()
	run.ready, run.handOut, run.ratio = time.Duration(median(starts)), time.Duration(median(handOuts)), median(ratios)
	on.Catalogue = known
	on.Polls = traffic.NewPolls(known, on.Host, on.Prefix).Start
	if rounds > 0 {
		load := s.loads.Polls(on)
		load.WarmUp, load.Tolerant = 0, true
		if run.polls, err = load.Run(ctx); err != nil {
			return run, err
		}
	}
	run.resident, err = on.Resident()
	return run, err
}

// steadyAfter returns after how long the throughput had come to nine tenths of its later median, and
// that median, a tenth of a second.
func steadyAfter(m *loadgen.Measurement) (time.Duration, float64) {
	var later []float64
	whole := m.Timeline[:max(len(m.Timeline)-1, 1)] // the last window is cut short
	for _, w := range whole[len(whole)/2:] {
		later = append(later, float64(w.Served))
	}
	rate := median(later)
	for i, w := range whole {
		if float64(w.Served) >= 0.9*rate {
			return time.Duration(i) * 100 * time.Millisecond, rate
		}
	}
	return m.Elapsed, rate
}
