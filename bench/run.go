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
	services := rig.New(rig.Options{
		Lastseen: r.Executable, Baselines: r.BaselinesProgram, Dir: dir, ServerCPUs: r.processors.server,
		Connections: r.Connections, KeysPerOrganisation: r.KeysPerOrganisation, Say: r.say,
	})
	if err := r.addVersions(ctx, services); err != nil {
		return err
	}
	stage, err := scenario.NewStage(r.Settings, services, r.loads())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }() // before its data are removed
	for _, name := range r.Scenarios {
		if err := r.scenario(ctx, name, stage, dir); err != nil {
			return fmt.Errorf("scenario %s: %w", name, err)
		}
	}
	return r.finish()
}

// scenario runs one scenario and reports it.
func (r *run) scenario(ctx context.Context, name string, stage *scenario.Stage, dir string) error {
	sc := scenario.All[slices.Index(scenario.Names(), name)] // check has looked
	r.say("== %s: %s", sc.Name, sc.Summary)
	o := r.outcome(sc.Name, sc.Summary)
	o.Describe(r.pinning, "data on "+record.Storage(dir))
	if err := sc.On(stage, o).Run(ctx); err != nil {
		return err
	}
	return r.report(o)
}

// addVersions adds those of the libraries that only the baselines have.
func (r *run) addVersions(ctx context.Context, services *rig.Rig) error {
	more, err := services.Versions(ctx)
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
