package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lastseen/bench/dataset"
)

// suite is one run of the load suite.
type suite struct {
	config     Config
	machine    Machine
	processors processors
	pinning    string
	dir        string
	spec       dataset.Spec
	draws      draws
	runs       int // numbers the runs of load, so that no two are alike

	main    *service // lastseen with the data set, started when it is first needed
	cleanup []func() error
}

// open prepares a run.
func open(config Config) (*suite, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	s := &suite{config: config, machine: thisMachine(), dir: config.Dir}
	s.processors, s.pinning = config.divide()
	s.spec = dataset.Spec{
		Seed: config.Seed, Sessions: config.Sessions, Organisations: config.Organisations, PointsPerSession: config.PointsPerSession,
		Interval: 10_000, NewestAt: time.Now().Add(-10 * time.Minute).UnixMilli(),
	}
	if config.Target == "" {
		var err error
		if s.draws, err = zipf(config.Sessions, config.Zipf, config.Seed); err != nil {
			return nil, err
		}
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "lastseen-bench-")
		if err != nil {
			return nil, fmt.Errorf("make a directory for the data: %w", err)
		}
		// PostgreSQL runs as a user of its own, who must be able to reach its folder in here.
		if err := os.Chmod(dir, 0o711); err != nil {
			return nil, fmt.Errorf("open the directory for the data: %w", err)
		}
		s.dir = dir
		s.cleanup = append(s.cleanup, func() error { return os.RemoveAll(dir) })
	}
	return s, nil
}

// close stops what runs and removes what is temporary.
func (s *suite) close() error {
	var errs []error
	if s.main != nil {
		errs = append(errs, s.main.stop())
	}
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, s.cleanup[i]())
	}
	return errors.Join(errs...)
}

// say reports progress.
func (s *suite) say(format string, args ...any) {
	fmt.Fprintf(s.config.Progress, format+"\n", args...)
}

// folder makes a folder for a process's data and log.
func (s *suite) folder(name string) (string, error) {
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", fmt.Errorf("make a folder for %s: %w", name, err)
	}
	return dir, nil
}

// lastseen returns the service under test with the suite's data set, started once for all scenarios.
func (s *suite) lastseen(ctx context.Context) (*service, error) {
	if s.main != nil {
		return s.main, nil
	}
	spec := s.spec
	spec.Merged = true
	main, err := s.startLastseen(ctx, "lastseen", spec)
	if err != nil {
		return nil, err
	}
	s.say("asking for every session once")
	if err := s.sweep(ctx, main); err != nil {
		return nil, errors.Join(fmt.Errorf("ask for every session once: %w", err), main.stop())
	}
	s.main = main
	return main, nil
}

// outcome begins a scenario's record.
func (s *suite) outcome(sc scenario) *Outcome {
	o := &Outcome{
		Scenario: sc.name, Summary: sc.summary, Date: time.Now().UTC().Truncate(time.Second),
		Commit: commit(s.config.Commit), Command: s.config.Command, Machine: s.machine, Versions: versions(),
	}
	if s.config.Target == "" {
		o.Settings = append(o.Settings, s.pinning, "data on "+storage(s.dir))
	}
	return o
}

// Run runs the scenarios and reports them. An error that matches loadgen.ErrWrongAnswer means that
// the service said something false; a target that was missed is no error.
func Run(ctx context.Context, config Config) (err error) {
	s, err := open(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if config.Target != "" {
		return s.runTarget(ctx)
	}
	var outcomes []*Outcome
	for _, name := range config.Scenarios {
		for _, sc := range scenarios {
			if sc.name != name {
				continue
			}
			s.say("== %s: %s", sc.name, sc.summary)
			o := s.outcome(sc)
			if err := sc.run(ctx, s, o); err != nil {
				return fmt.Errorf("scenario %s: %w", sc.name, err)
			}
			outcomes = append(outcomes, o)
			if err := s.report(o); err != nil {
				return err
			}
		}
	}
	if config.Record != "" {
		return recordIn(config.Record, outcomes)
	}
	return nil
}

// scenario is one thing to measure.
type scenario struct {
	name, summary string
	// usual scenarios run when none is named.
	usual bool
	run   func(context.Context, *suite, *Outcome) error
}

// scenarios are all there are, in the order in which they run.
var scenarios []scenario

func init() {
	scenarios = []scenario{
		{"last-seen", "the newest point of a session, polled: throughput and latency beside what else one would use", true, lastSeen},
		{"last-seen-304", "the same with If-None-Match, when nothing has changed", true, lastSeen304},
		{"mixed", "polls while points are written and keys are revoked", true, mixed},
		{"long-poll", "requests that wait for a session's next point", true, longPoll},
		{"revocation", "how soon a revoked key is refused", true, revocation},
		{"ingest", "points from the socket to the disk", true, ingest},
		{"overload", "three times what the service can do", true, overload},
		{"cold-start", "a start under full polling load", true, coldStart},
		{"history", "whole histories and the last hour, streamed", true, history},
		{"bulk", "polls while others pull whole histories", true, bulk},
		{"size", "bytes a point on the disk, beside PostgreSQL", true, size},
		{"soak", "polls and writes for a long time", false, soak},
	}
}

// ScenarioNames lists every scenario.
func ScenarioNames() (names []string) {
	for _, sc := range scenarios {
		names = append(names, sc.name)
	}
	return names
}

// DefaultScenarios lists the scenarios that run when none is named.
func DefaultScenarios() (names []string) {
	for _, sc := range scenarios {
		if sc.usual {
			names = append(names, sc.name)
		}
	}
	return names
}
