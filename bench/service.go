package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lastseen/bench/loadgen"
)

// service is a running contender, or a deployment that somebody else runs.
type service struct {
	name  string // as it is called on the command line
	label string // as it is called in tables
	// version is that of a program that is not ours, empty otherwise.
	version string
	target  loadgen.Target
	host    string // for the Host header
	prefix  string // of every path
	// processes are the suite's own, to be stopped last to first.
	processes []*process
	catalogue *catalogue
	// source makes the source of one worker that polls last_seen.
	source func(d draws, start int) loadgen.Source
	// api calls the routes for people; nil where there are none.
	api *api
}

// stop ends the service's processes.
func (s *service) stop() error {
	var errs []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		errs = append(errs, s.processes[i].stop())
	}
	s.processes = nil
	return errors.Join(errs...)
}

// cpu returns the processor time that the service has spent, 0 where it is not on this machine.
func (s *service) cpu() time.Duration {
	pids := make([]int, len(s.processes))
	for i, p := range s.processes {
		pids[i] = p.cmd.Process.Pid
	}
	if len(pids) == 0 {
		return 0
	}
	return processCPU(pids...)
}

// resident returns the memory of the service's first process, 0 where it is not on this machine.
func (s *service) resident() (int64, error) {
	if len(s.processes) == 0 {
		return 0, nil
	}
	return residentBytes(s.processes[0].cmd.Process.Pid)
}

// sockets returns how many the service's first process has open, 0 where that cannot be told.
func (s *service) sockets() (open int) {
	if len(s.processes) == 0 {
		return 0
	}
	files := fmt.Sprintf("/proc/%d/fd", s.processes[0].cmd.Process.Pid)
	entries, err := os.ReadDir(files)
	if err != nil {
		return 0
	}
	for _, entry := range entries {
		// One that is closed meanwhile is none.
		if target, err := os.Readlink(filepath.Join(files, entry.Name())); err == nil && strings.HasPrefix(target, "socket:") {
			open++
		}
	}
	return open
}

// load is a closed loop of polls against the service, which callers adjust.
func (s *suite) load(on *service) loadgen.Load {
	return loadgen.Load{
		Target: on.target, Connections: s.config.Connections, Workers: s.config.workers(),
		WarmUp: s.config.WarmUp, Duration: s.config.Duration, CPUs: s.processors.client, ServerCPU: on.cpu,
		Source: s.pollers(on),
	}
}

// pollers starts each worker at another place of the sequence of sessions, and each run anew.
func (s *suite) pollers(on *service) func(worker int) loadgen.Source {
	s.runs++
	run := s.runs
	return func(worker int) loadgen.Source {
		return on.source(s.draws, (run*7919+worker*104729)*16%len(s.draws))
	}
}

// pollSource polls last_seen of a service that speaks the API, as one poller would.
func pollSource(on *service, like poller) func(draws, int) loadgen.Source {
	like.catalogue, like.templates = on.catalogue, newPollTemplates(on.catalogue, on.host, on.prefix)
	return func(d draws, start int) loadgen.Source {
		p := like
		p.draws, p.at = d, start
		return &p
	}
}

// ingesters makes sources that write points to the service.
func (s *suite) ingesters(on *service, points, workers int, refusals bool) func(int) loadgen.Source {
	return func(worker int) loadgen.Source {
		g := newIngester(on.catalogue, on.host, on.prefix, points, worker, workers)
		g.refusals = refusals
		return g
	}
}

// sweep asks for every session that a load will ask for, once: it warms what the service caches and
// learns the entity tags.
func (s *suite) sweep(ctx context.Context, on *service) error {
	sessions, workers := s.draws.distinct(), s.config.workers()
	templates := newPollTemplates(on.catalogue, on.host, on.prefix)
	load := s.load(on)
	load.WarmUp, load.Duration = 0, 10*time.Minute
	load.Source = func(worker int) loadgen.Source {
		return &sweeper{poller: poller{catalogue: on.catalogue, templates: templates}, sessions: sessions, next: worker, step: workers}
	}
	_, err := load.Run(ctx)
	return err
}
