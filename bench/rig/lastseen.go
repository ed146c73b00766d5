package rig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"lastseen/bench/baseline"
	"lastseen/bench/dataset"
	"lastseen/bench/loadgen"
	"lastseen/bench/process"
	"lastseen/bench/traffic"
	"lastseen/server/limit"
)

// MaxWaiters is how many connections services accept, but for some more that the suite itself needs.
const MaxWaiters = 60_000

// StartLastseen loads a data set, starts `lastseen serve` on it with some more flags, and makes keys
// and credentials.
func (r *Rig) StartLastseen(ctx context.Context, name string, spec dataset.Spec, flags ...string) (*Service, error) {
	if err := r.Load(ctx, name, spec); err != nil {
		return nil, err
	}
	on, err := r.Serve(ctx, name, flags...)
	if err != nil {
		return nil, err
	}
	if err := r.giveKeys(ctx, on, name, spec); err != nil {
		return nil, errors.Join(err, on.Stop())
	}
	on.PollWithProbes()
	return on, nil
}

// Load fills a folder with a data set.
func (r *Rig) Load(ctx context.Context, name string, spec dataset.Spec) error {
	r.Say("loading %d sessions of %d points for %s", spec.Sessions, spec.PointsPerSession, name)
	if err := r.emptyStore(ctx, name); err != nil {
		return err
	}
	loader, err := r.baseline(name, baseline.Load, baseline.Config{Store: r.Store(name), Dataset: spec})
	if err != nil {
		return err
	}
	return loader.Run(ctx)
}

// Serve starts `lastseen serve` on the data of a folder and waits until it is ready.
func (r *Rig) Serve(ctx context.Context, name string, flags ...string) (*Service, error) {
	dir, err := r.Folder(name)
	if err != nil {
		return nil, err
	}
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	r.Say("starting %s", name)
	start := r.launch(name, dir, address, r.ServerCPUs, flags...)
	if r.Server != nil {
		start.Env = []string{"LASTSEEN_CLICKHOUSE=" + r.Server.database(name)} // which may hold a password
	}
	p, err := start.Start()
	if err != nil {
		return nil, err
	}
	on := r.service(address, p)
	if err := on.awaitReady(ctx, p); err != nil {
		return nil, errors.Join(err, on.Stop())
	}
	return on, nil
}

// launch is how `lastseen serve` is started on some processors, whatever ClickHouse it is to use.
func (r *Rig) launch(name, dir, address string, cpus []int, flags ...string) process.Launch {
	args := []string{"serve", "--addr", address, "--data-dir", r.dataDir(name), "--max-connections", fmt.Sprint(MaxWaiters + 1000)}
	args = append(args, "--outliers", "off") // where points of loads lie follows from their time, so they jump
	if 2*r.Connections > limit.CrowdPerProcessor*cmp.Or(len(cpus), runtime.NumCPU()) {
		args = append(args, "--poll-wait", "0s") // so many are asked for, and some more poll beside them: not an overload
	}
	return process.Launch{Name: name, Path: r.Lastseen, Dir: dir, CPUs: cpus, Args: append(args, flags...)}
}

// service is what a process at an address is to the suite.
func (r *Rig) service(address string, p *process.Process) *Service {
	return &Service{
		Name: "lastseen", Label: "**lastseen**", Host: address, processes: []*process.Process{p}, others: r.Server.processes(),
		Target: loadgen.Target{Address: address, Codec: loadgen.HTTP{}}, API: NewAPI("http://" + address),
	}
}

// awaitReady waits until the service, which is a process, is ready.
func (s *Service) awaitReady(ctx context.Context, p *process.Process) error {
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return p.AwaitHTTP(waiting, s.API.Base+"/readyz")
}

// giveKeys fills a service's catalogue with keys and credentials, made by the public routes.
func (r *Rig) giveKeys(ctx context.Context, on *Service, name string, spec dataset.Spec) error {
	on.Catalogue = traffic.NewCatalogue(spec)
	r.Say("making %d keys for each of %d organisations", r.KeysPerOrganisation, spec.Organisations)
	for organisation := range spec.Organisations {
		token, err := r.token(ctx, name, spec.OrgID(organisation))
		if err != nil {
			return err
		}
		on.API.tokens = append(on.API.tokens, token)
		for range r.KeysPerOrganisation {
			key, err := on.API.CreateKey(ctx, organisation)
			if err != nil {
				return fmt.Errorf("make an API key: %w", err)
			}
			on.Catalogue.Keys[organisation] = append(on.Catalogue.Keys[organisation], key.Key)
		}
		credential, err := on.API.CreateCredential(ctx, organisation)
		if err != nil {
			return fmt.Errorf("make a device credential: %w", err)
		}
		on.Catalogue.Writers[organisation] = credential.Key
	}
	return nil
}

// token has the local issuer sign a user token.
func (r *Rig) token(ctx context.Context, name, org string) (string, error) {
	command := exec.CommandContext(ctx, r.Lastseen, "token", "--data-dir", r.dataDir(name),
		"--org", org, "--user", "user_bench", "--role", "owner", "--ttl", "240h")
	command.Env = process.Environment()
	text, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("sign a user token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// PollWithProbes has the service's polls ask for other organisations' sessions now and then.
func (s *Service) PollWithProbes() {
	polls := traffic.NewPolls(s.Catalogue, s.Host, s.Prefix)
	polls.Probes = true
	s.Polls = polls.Start
}
