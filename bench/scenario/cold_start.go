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
	enoughSessions    = 500_000 // to tell what one of them costs from the noise
)

// coldStart starts the service on a full data set and polls it at once with every key and session.
type coldStart struct {
	*Stage
	o *record.Outcome
}

// Run implements Runner.
func (s *coldStart) Run(ctx context.Context) error {
	o := s.o
	s.describeLoad(o)
	empty := s.spec
	empty.Sessions = 2 * empty.Organisations
	_, _, without, err := s.coldRun(ctx, "cold-empty", empty, false)
	if err != nil {
		return err
	}
	ready, polls, with, err := s.coldRun(ctx, "cold", s.spec, true)
	if err != nil {
		return err
	}
	steady, rate := steadyAfter(polls)
	each := float64(with-without) / float64(s.spec.Sessions-empty.Sessions)
	o.Add(record.Table{Title: "A start", Header: []string{"", ""}, Rows: [][]string{
		{"from the start of the process to /readyz", ready.Round(time.Millisecond).String()},
		{"sessions in memory by then", record.Thousands(float64(s.spec.Sessions))},
		{"polls in the first tenth of a second", record.Thousands(float64(polls.Timeline[0].Served))},
		{"the slowest of all", record.Span(float64(polls.Latency.Max()))},
		{"steady state, in tenths of a second", record.Thousands(rate)},
		{"reached after", steady.String()},
		{"resident memory with " + record.Thousands(float64(empty.Sessions)) + " sessions", record.Mebibytes(without)},
		{"and with all", record.Mebibytes(with)},
		{"a session", fmt.Sprintf("%.0f bytes", each)},
	}})
	o.Figure("ready_seconds", ready.Seconds())
	o.Figure("steady_seconds", steady.Seconds())
	o.Figure("bytes_per_session", each)
	o.Judge("answers that were not 200 from the first moment of /readyz on", "0", fmt.Sprint(polls.Failed+polls.Refused), polls.Failed+polls.Refused == 0)
	o.Judge("steady state", "within 1s", steady.String(), steady <= time.Second)
	if s.spec.Sessions >= enoughSessions {
		o.Judge("resident memory a session, all in", fmt.Sprintf("at most %d bytes", mostBytesASession), fmt.Sprintf("%.0f bytes", each), each <= mostBytesASession)
	} else {
		o.Note(fmt.Sprintf("The memory a session is not judged below %s sessions: the noise of a process's memory is larger.", record.Thousands(enoughSessions)))
	}
	return nil
}

// coldRun loads data, makes keys, restarts the service and returns how long it took to be ready, the
// polls from that moment on, and its memory at the end.
func (s *coldStart) coldRun(ctx context.Context, name string, spec dataset.Spec, poll bool) (ready time.Duration, polls *loadgen.Measurement, resident int64, err error) {
	on, err := s.rig.StartLastseen(ctx, name, spec)
	if err != nil {
		return 0, nil, 0, err
	}
	known := on.Catalogue
	if err := on.Stop(); err != nil {
		return 0, nil, 0, err
	}
	began := time.Now()
	if on, err = s.rig.Serve(ctx, name); err != nil {
		return 0, nil, 0, err
	}
	defer func() { err = errors.Join(err, on.Stop()) }()
	ready = time.Since(began)
	on.Catalogue = known
	on.Polls = traffic.NewPolls(known, on.Host, on.Prefix).Start
	if poll {
		load := s.loads.Polls(on)
		load.WarmUp, load.Tolerant = 0, true
		if polls, err = load.Run(ctx); err != nil {
			return 0, nil, 0, err
		}
	}
	resident, err = on.Resident()
	return ready, polls, resident, err
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
