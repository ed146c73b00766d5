package rig

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"strings"

	"lastseen/bench/baseline"
	"lastseen/bench/dataset"
	"lastseen/bench/loadgen"
	"lastseen/bench/process"
	"lastseen/bench/record"
	"lastseen/bench/traffic"
)

// startRedis starts redis-server with the finished answers as its values. It checks no key and speaks
// a leaner protocol than HTTP, both in its favour.
func (r *Rig) startRedis(ctx context.Context, spec dataset.Spec, beside *Service) (on *Service, absent string, err error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "redis-server is not installed", nil
	}
	address, err := process.FreeAddress()
	if err != nil {
		return nil, "", err
	}
	dir, err := r.Folder("redis")
	if err != nil {
		return nil, "", err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", err
	}
	p, err := process.Launch{
		Name: "redis", Path: path, Dir: dir, CPUs: r.ServerCPUs,
		Args: []string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", dir},
	}.Start()
	if err != nil {
		return nil, "", err
	}
	on = &Service{
		Name: baseline.Redis, Label: "redis-server GET", Version: redisVersion(path), processes: []*process.Process{p},
		Catalogue: beside.Catalogue, Target: loadgen.Target{Address: address, Codec: loadgen.RESP{}}, Polls: traffic.RedisGets(beside.Catalogue),
	}
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = p.Await(waiting, func() bool {
		conn, err := net.Dial("tcp", address)
		return err == nil && conn.Close() == nil
	})
	if err == nil {
		err = r.fillRedis(waiting, address, spec)
	}
	if err != nil {
		return nil, "", errors.Join(err, on.Stop())
	}
	return on, "", nil
}

// redisVersion leaves the build's hashes out of what redis-server says of itself.
func redisVersion(path string) string {
	for word := range strings.FieldsSeq(record.ProgramVersion(path, "--version")) {
		if version, ok := strings.CutPrefix(word, "v="); ok {
			return "Redis " + version
		}
	}
	return "Redis of an unknown version"
}

// fillRedis stores the finished answers.
func (r *Rig) fillRedis(ctx context.Context, address string, spec dataset.Spec) error {
	filler, err := r.baseline("redis", baseline.FillRedis, baseline.Config{RedisAddress: address, Dataset: spec})
	if err != nil {
		return err
	}
	return filler.Run(ctx)
}
