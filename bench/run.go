package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"lastseen/bench/baseline"
	"lastseen/bench/record"
	"lastseen/bench/rig"
	"lastseen/bench/scenario"
	"lastseen/bench/sizing"
)

// Run measures and reports. An error that matches loadgen.ErrWrongAnswer means that the service said
// something false; a target that was missed is no error.
func Run(ctx context.Context, config Config) error {
	if err := config.check(); err != nil {
		return err
	}
	r := &run{Config: config, machine: record.ThisMachine(), versions: record.Versions()}
	r.processors, r.pinning = config.divide()
	if config.Target != "" {
		return r.deployment(ctx)
	}
	return r.scenarios(ctx)
}

// run is one run of the suite.
type run struct {
	Config
	machine    record.Machine
	versions   []string
	processors processors
	pinning    string
	outcomes   []*record.Outcome
}

// loads makes loads as they were asked for.
func (r *run) loads() *rig.Loads {
	return &rig.Loads{Connections: r.Connections, Workers: r.workers(), WarmUp: r.WarmUp, Duration: r.Duration, CPUs: r.processors.client}
}

// say reports progress.
func (r *run) say(format string, args ...any) { fmt.Fprintf(r.Progress, format+"\n", args...) }

// outcome begins a record.
func (r *run) outcome(name, summary string) *record.Outcome {
	return &record.Outcome{
		Scenario: name, Summary: summary, Date: time.Now().UTC().Truncate(time.Second),
		Commit: record.Commit(r.Commit), Command: r.Command, Machine: r.machine, Versions: slices.Clone(r.versions),
	}
}

// report shows an outcome and keeps it for the record.
func (r *run) report(o *record.Outcome) error {
	r.outcomes = append(r.outcomes, o)
	if r.JSON {
		return o.WriteJSON(r.Output)
	}
	return o.WriteText(r.Output)
}

// finish brings the record up to date, if there is one.
func (r *run) finish() error {
	if r.Record == "" {
		return nil
	}
	return record.Write(r.Record, r.outcomes, scenario.Names())
}

// deployment measures a deployment that somebody else runs.
func (r *run) deployment(ctx context.Context) error {
	d, err := sizing.Find(ctx, sizing.Options{
		Target: r.Target, Keys: r.Keys, P99: r.P99, Sessions: r.Sessions, Zipf: r.Zipf, Seed: r.Seed, Loads: r.loads(), Say: r.say,
	})
	if err != nil {
		return err
	}
	o := r.outcome("target", d.Summary())
	if err := d.Measure(ctx, o); err != nil {
		return err
	}
	if err := r.report(o); err != nil {
		return err
	}
	return r.finish()
}

// scenarios measures the service that the suite starts.
func (r *run) scenarios(ctx context.Context) (err error) {
	if _, err := os.Stat(r.BaselinesProgram); err != nil {
		return fmt.Errorf("the scenarios need the program of the baselines, which is not at %s: `make bench` builds it beside lastseen (a deployment is measured without it: --target)", r.BaselinesProgram)
	}
	dir, remove, err := r.folder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if err := r.addVersions(ctx); err != nil {
		return err
	}
	var stages []*scenario.Stage
	for _, where := range r.ClickHouse {
		stage, end, err := r.stage(ctx, dir, where)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }() // before its data are removed
		stages = append(stages, stage)
	}
	for _, name := range r.Scenarios {
		if err := r.scenario(ctx, name, stages, dir); err != nil {
			return fmt.Errorf("scenario %s: %w", name, err)
		}
	}
	return r.finish()
}

// stage makes the stage on one ClickHouse, and what ends it.
func (r *run) stage(ctx context.Context, dir, where string) (stage *scenario.Stage, end func() error, err error) {
	options := rig.Options{
		Lastseen: r.Executable, Baselines: r.BaselinesProgram, Dir: dir, ServerCPUs: r.processors.server,
		Connections: r.Connections, KeysPerOrganisation: r.KeysPerOrganisation, Say: r.say,
	}
	closeServer := func() error { return nil }
	if where != OnEmbedded {
		options.Dir = filepath.Join(dir, "server")
		options.Say = func(format string, args ...any) { r.say("server: "+format, args...) }
		if options.Server, err = r.server(ctx, options.Dir, where); err != nil {
			return nil, nil, err
		}
		closeServer = func() error { return options.Server.Close(ctx) }
	}
	stage, err = scenario.NewStage(r.Settings, rig.New(options), r.loads())
	if err != nil {
		return nil, nil, errors.Join(err, closeServer())
	}
	return stage, func() error { return errors.Join(stage.Close(), closeServer()) }, nil
}

// server starts a ClickHouse server below a folder, or greets the one at an address.
func (r *run) server(ctx context.Context, dir, where string) (*rig.Server, error) {
	if where != OnServer {
		return rig.UseServer(ctx, where)
	}
	data := filepath.Join(dir, "clickhouse")
	if err := os.MkdirAll(data, 0o711); err != nil {
		return nil, fmt.Errorf("make a folder for the ClickHouse server: %w", err)
	}
	r.say("starting a ClickHouse server")
	return rig.StartServer(ctx, r.Executable, data, r.processors.server)
}

// scenario runs one scenario on every stage, round by round in turn, and reports it.
func (r *run) scenario(ctx context.Context, name string, stages []*scenario.Stage, dir string) error {
	sc := scenario.All[slices.Index(scenario.Names(), name)] // check has looked
	r.say("== %s: %s", sc.Name, sc.Summary)
	outcomes := make([]*record.Outcome, len(stages))
	runners := make([]scenario.Runner, len(stages))
	runs := make([]func(func() error) error, len(stages))
	for i, stage := range stages {
		outcomes[i] = r.outcome(sc.Name, sc.Summary)
		outcomes[i].ClickHouse = stage.ClickHouse()
		outcomes[i].Describe(r.pinning, "data on "+record.Storage(dir))
		stage.Describe(outcomes[i], len(stages) > 1)
		runners[i] = sc.On(stage, outcomes[i])
		runs[i] = func(pause func() error) error {
			stage.Pause = pause
			return runners[i].Run(ctx)
		}
	}
	if err := inTurn(runs); err != nil {
		return err
	}
	judgeBeside(runners, outcomes)
	for _, o := range outcomes {
		if err := r.report(o); err != nil {
			return err
		}
	}
	return nil
}

// judgeBeside has the runner on a server judge itself beside the one on the embedded engine.
func judgeBeside(runners []scenario.Runner, outcomes []*record.Outcome) {
	embedded := slices.IndexFunc(outcomes, func(o *record.Outcome) bool { return !o.OnServer() })
	server := slices.IndexFunc(outcomes, (*record.Outcome).OnServer)
	if embedded < 0 || server < 0 {
		return
	}
	if runner, judges := runners[server].(scenario.Beside); judges {
		runner.JudgeBeside(runners[embedded])
	}
}

// addVersions adds those of the libraries that only the baselines have.
func (r *run) addVersions(ctx context.Context) error {
	more, err := rig.Versions(ctx, r.BaselinesProgram)
	if err != nil {
		return err
	}
	for _, version := range more {
		if !slices.Contains(r.versions, version) {
			r.versions = append(r.versions, version)
		}
	}
	return nil
}

// folder returns where data go, and what removes it when it is temporary.
func (r *run) folder() (dir string, remove func() error, err error) {
	if r.Dir != "" {
		return r.Dir, func() error { return nil }, nil
	}
	if dir, err = os.MkdirTemp("", "lastseen-bench-"); err != nil {
		return "", nil, fmt.Errorf("make a directory for the data: %w", err)
	}
	// PostgreSQL runs as a user of its own, who must be able to reach its folder in here.
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", nil, fmt.Errorf("open the directory for the data: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// BesideExecutable is where the program of the baselines is expected: beside the program at a path.
func BesideExecutable(path string) string { return filepath.Join(filepath.Dir(path), baseline.Program) }
