package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lastseen/bench/baseline"
	"lastseen/bench/dataset"
	"lastseen/bench/loadgen"
	"lastseen/bench/process"
	"lastseen/bench/traffic"
)

// startTimeout bounds the start of one process, loading included.
const startTimeout = 10 * time.Minute

// baseline is a task of the program of the baselines, with its log and its settings in a folder.
func (r *Rig) baseline(folder, task string, config baseline.Config) (l process.Launch, err error) {
	dir, err := r.Folder(folder)
	if err != nil {
		return l, err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return l, fmt.Errorf("encode the settings of %s: %w", task, err)
	}
	name := task + config.Name
	path := filepath.Join(dir, name+".json") // a file, since keys are no business of the process list
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return l, fmt.Errorf("write the settings of %s: %w", task, err)
	}
	return process.Launch{Name: name, Path: r.Baselines, Args: []string{task, path}, Dir: dir, CPUs: r.ServerCPUs}, nil
}

// StartBaseline starts what lastseen is compared with. Where it is not installed it returns why, and
// no service.
func (r *Rig) StartBaseline(ctx context.Context, name string, spec dataset.Spec, beside *Service) (on *Service, absent string, err error) {
	r.Say("starting %s", name)
	switch name {
	case baseline.Bare:
		on, err = r.startBare(ctx, beside)
	case baseline.Redis:
		return r.startRedis(ctx, spec, beside)
	case baseline.Postgres:
		return r.startPostgres(ctx, spec, beside)
	case baseline.Naive:
		on, err = r.StartNaive(ctx, "naive", spec, beside)
	}
	return on, "", err
}

// startFront starts a baseline that speaks HTTP and waits until it has loaded.
func (r *Rig) startFront(ctx context.Context, folder, label string, config baseline.Config, beside *Service) (*Service, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	config.Address = address
	start, err := r.baseline(folder, baseline.Serve, config)
	if err != nil {
		return nil, err
	}
	p, err := start.Start()
	if err != nil {
		return nil, err
	}
	on := &Service{
		Name: config.Name, Label: label, Host: address, processes: []*process.Process{p}, Catalogue: beside.Catalogue,
		Target: loadgen.Target{Address: address, Codec: loadgen.HTTP{}},
	}
	on.Polls = traffic.NewPolls(on.Catalogue, on.Host, "").Start
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := p.AwaitHTTP(waiting, "http://"+address+"/readyz"); err != nil {
		return nil, errors.Join(err, on.Stop())
	}
	return on, nil
}

// startBare starts the bare server with an answer that it copies from lastseen.
func (r *Rig) startBare(ctx context.Context, beside *Service) (*Service, error) {
	constant, err := beside.sample(ctx)
	if err != nil {
		return nil, fmt.Errorf("copy an answer for the bare server: %w", err)
	}
	on, err := r.startFront(ctx, "bare", "bare fasthttp, a constant", baseline.Config{Name: baseline.Bare, Constant: constant}, beside)
	if err != nil {
		return nil, err
	}
	on.Polls = traffic.NewPolls(on.Catalogue, on.Host, "").Constant(sampled)
	return on, nil
}

// sampled is the session whose answer the bare server repeats.
const sampled = 0

// sample copies one answer of last_seen.
func (s *Service) sample(ctx context.Context) (constant baseline.Constant, err error) {
	response, err := s.PollOnce(ctx, s.Catalogue.Keys[s.Catalogue.Orgs[sampled]][0], sampled)
	if err != nil {
		return constant, err
	}
	defer response.Body.Close()
	if constant.Body, err = io.ReadAll(response.Body); err != nil {
		return constant, err
	}
	if response.StatusCode != http.StatusOK {
		return constant, fmt.Errorf("status %s: %.300s", response.Status, constant.Body)
	}
	for name, values := range response.Header {
		switch name {
		case "Content-Type":
			constant.ContentType = values[0]
		case "Content-Length", "Date", "Server", "Connection", "Transfer-Encoding":
		default:
			constant.Headers = append(constant.Headers, name, values[0])
		}
	}
	return constant, nil
}

// StartNaive starts the service of an afternoon, which is also the yardstick for ClickHouse itself, on a store
// of its own that it fills with a data set.
func (r *Rig) StartNaive(ctx context.Context, folder string, spec dataset.Spec, beside *Service) (*Service, error) {
	if err := r.emptyStore(ctx, folder); err != nil {
		return nil, err
	}
	return r.startNaive(ctx, folder, baseline.Config{Store: r.Store(folder), Dataset: spec, Keys: beside.Catalogue.Keys}, beside)
}

// StartNaiveOn starts it on the store of a service on a ClickHouse server, with the data set in it.
func (r *Rig) StartNaiveOn(ctx context.Context, folder, service string, spec dataset.Spec, beside *Service) (*Service, error) {
	return r.startNaive(ctx, folder, baseline.Config{Store: r.Store(service), Dataset: spec, Loaded: true}, beside)
}

func (r *Rig) startNaive(ctx context.Context, folder string, config baseline.Config, beside *Service) (*Service, error) {
	config.Name = baseline.Naive
	on, err := r.startFront(ctx, folder, "ClickHouse asked each time", config, beside)
	if err != nil {
		return nil, err
	}
	on.others = r.Server.processes()
	on.PollWithProbes()
	response, err := http.Get("http://" + on.Host + "/readyz")
	if err != nil {
		return nil, errors.Join(err, on.Stop())
	}
	defer response.Body.Close()
	version, err := io.ReadAll(response.Body)
	on.Version = "ClickHouse " + string(version)
	return on, err
}

// Insert has a naive service insert batches plainly for a while, points of the data set from the first-th of
// every session on.
func (s *Service) Insert(ctx context.Context, batch int, length time.Duration, first int) (inserted baseline.Inserted, err error) {
	query := url.Values{"batch": {fmt.Sprint(batch)}, "milliseconds": {fmt.Sprint(length.Milliseconds())}, "first": {fmt.Sprint(first)}}
	yardstick := NewAPI("http://" + s.Host)
	yardstick.Client.Timeout = 0 // bounded by the length and ctx
	if err = yardstick.Call(ctx, http.MethodPost, "/insert", query, "", nil, &inserted); err != nil {
		return inserted, fmt.Errorf("insert plainly: %w", err)
	}
	return inserted, nil
}

// MeasureSizes merges the points of a store that nobody has open and measures what they take, in PostgreSQL
// too unless its address is empty.
func (r *Rig) MeasureSizes(ctx context.Context, folder string, store dataset.Store, postgresURL string) (sizes baseline.Sizes, err error) {
	err = r.measure(ctx, folder, baseline.Size, baseline.Config{Store: store, PostgresURL: postgresURL}, &sizes)
	return sizes, err
}

// MeasureHandOut measures how long ClickHouse alone takes to hand out what a start of a service reads. Nobody has the
// service's store open.
func (r *Rig) MeasureHandOut(ctx context.Context, service string) (found baseline.HandedOut, err error) {
	err = r.measure(ctx, service, baseline.HandOut, baseline.Config{Store: r.Store(service)}, &found)
	return found, err
}

// measure runs a task that writes what it has found to a file.
func (r *Rig) measure(ctx context.Context, folder, task string, config baseline.Config, found any) error {
	dir, err := r.Folder(folder)
	if err != nil {
		return err
	}
	config.Result = filepath.Join(dir, task+"-result.json")
	measure, err := r.baseline(folder, task, config)
	if err != nil {
		return err
	}
	if err := measure.Run(ctx); err != nil {
		return err
	}
	text, err := os.ReadFile(config.Result)
	if err != nil {
		return fmt.Errorf("read what %s has found: %w", task, err)
	}
	if err := json.Unmarshal(text, found); err != nil {
		return fmt.Errorf("decode what %s has found: %w", task, err)
	}
	return nil
}

// Versions are those of the libraries that a program of the baselines was built with, a line each.
func Versions(ctx context.Context, program string) ([]string, error) {
	text, err := exec.CommandContext(ctx, program, baseline.Versions).Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its versions: %w", program, err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n"), nil
}
