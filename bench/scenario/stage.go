package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lastseen/bench/dataset"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/traffic"
)

// Settings say how large the measured things are and how long they are measured.
type Settings struct {
	// Sessions, Organisations, KeysPerOrganisation and PointsPerSession are the size of the data.
	Sessions, Organisations, KeysPerOrganisation, PointsPerSession int
	// Zipf is the exponent of the sessions' popularity.
	Zipf float64
	// Seed makes the data and the requests reproducible.
	Seed uint64
	// Rounds is how often each lane's turn comes.
	Rounds int
	// Rate is the points a second of the scenarios that write beside the reads.
	Rate int
	// Soak is how long the soak lasts.
	Soak time.Duration
	// HistoryPoints is the length of the sessions that the history scenarios pull.
	HistoryPoints int
	// SizeDirs are data directories that size measures beside the fleet's; nobody has them open.
	SizeDirs []string
	// Waiters is the number of waiting requests of the long poll.
	Waiters int
	// Attacks are the names of those that tenants runs; empty means all.
	Attacks []string
	// Failures are the names of those that nodes measures; empty means all.
	Failures []string
	// Revocations is how many keys the revocation scenario revokes.
	Revocations int
	// Baselines are the names of what lastseen is compared with; empty means every one that is there.
	Baselines []string
}

// Check refuses what cannot be measured.
func (s *Settings) Check() error {
	if s.Sessions < 2*s.Organisations || s.Organisations < 2 || s.KeysPerOrganisation < 1 || s.PointsPerSession < 1 {
		return errors.New("the data needs at least two organisations with two sessions, one key and one point each")
	}
	if s.Rounds < 1 || s.Zipf < 0 || s.Rate < 1 || s.HistoryPoints < 1 || s.Waiters < 1 || s.Revocations < 1 {
		return errors.New("rounds, rates and counts must be positive")
	}
	return checkFailures(s.Failures)
}

// Stage is what the scenarios of a run share, on one ClickHouse. One goroutine uses it.
type Stage struct {
	Settings
	// Pause, when set, is called before each round: what is measured on another stage has its round then. It
	// fails when that has failed.
	Pause func() error

	rig   *rig.Rig
	loads *rig.Loads
	spec  dataset.Spec

	shared *rig.Service // lastseen with the data set, started when it is first needed
}

// NewStage makes a stage, which draws the sessions of loads and starts nothing yet. The caller closes it.
func NewStage(settings Settings, on *rig.Rig, loads *rig.Loads) (*Stage, error) {
	s := &Stage{Settings: settings, rig: on, loads: loads, spec: dataset.Spec{
		Seed: settings.Seed, Sessions: settings.Sessions, Organisations: settings.Organisations, PointsPerSession: settings.PointsPerSession,
		Interval: 10_000, NewestAt: time.Now().Add(-10 * time.Minute).UnixMilli(),
	}}
	var err error
	loads.Draws, err = traffic.Zipf(settings.Sessions, settings.Zipf, settings.Seed)
	return s, err
}

// Close stops the service that the scenarios share.
func (s *Stage) Close() error {
	if s.shared == nil {
		return nil
	}
	return s.shared.Stop()
}

// Lastseen returns the service under test with the data set, started once for all scenarios.
func (s *Stage) Lastseen(ctx context.Context) (*rig.Service, error) {
	if s.shared != nil {
		return s.shared, nil
	}
	spec := s.spec
	spec.Merged = true
	on, err := s.rig.StartLastseen(ctx, "lastseen", spec)
	if err != nil {
		return nil, err
	}
	s.rig.Say("asking for every session once")
	if err := s.loads.Sweep(ctx, on); err != nil {
		return nil, errors.Join(fmt.Errorf("ask for every session once: %w", err), on.Stop())
	}
	s.shared = on
	return on, nil
}

// pause lets others have their round.
func (s *Stage) pause() error {
	if s.Pause == nil {
		return nil
	}
	return s.Pause()
}

// ClickHouse is where the services keep their data, as a record calls it.
func (s *Stage) ClickHouse() string { return s.rig.ClickHouse() }

// Describe notes where the services keep their data; inTurn says that another stage had its rounds in turn.
func (s *Stage) Describe(o *record.Outcome, inTurn bool) {
	if s.rig.Server != nil {
		o.Describe(s.rig.Server.Describe())
		addVersion(o, s.rig.Server.Version)
	}
	if inTurn {
		o.Describe("the embedded engine and the server had their rounds in turn")
	}
}

// longSpec is a few sessions with a long history, a point a second.
func (s *Stage) longSpec() dataset.Spec {
	long := s.spec
	long.Merged = true
	long.Sessions, long.Organisations, long.PointsPerSession, long.Interval = 4, 2, s.HistoryPoints, 1000
	return long
}

// describeLoad notes how the polls are made.
func (s *Stage) describeLoad(o *record.Outcome) {
	o.Describe(
		fmt.Sprintf("%s sessions of %d organisations with %d keys each; popularity by Zipf with exponent %v; one request in %d is for another organisation's session",
			record.Thousands(float64(s.Sessions)), s.Organisations, s.KeysPerOrganisation, s.Zipf, traffic.ForeignEvery),
		fmt.Sprintf("%d connections, keep-alive, %d client worker(s)", s.loads.Connections, s.loads.Workers),
		fmt.Sprintf("%d rounds of %v after %v of warm-up, in turn; figures are medians over the rounds", s.Rounds, s.loads.Duration, s.loads.WarmUp))
}

// addVersion adds the version of a program, once.
func addVersion(o *record.Outcome, version string) {
	if version != "" && !slices.Contains(o.Versions, version) {
		o.Versions = append(o.Versions, version)
	}
}
