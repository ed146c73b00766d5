// Package rig starts what the load suite measures and what it compares with, each as a process of its own
// with a folder of its own: lastseen on a data set, the baselines, Redis and PostgreSQL.
package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"lastseen/bench/dataset"
	"lastseen/bench/record"
)

// Options say what to start and where.
type Options struct {
	// Lastseen and Baselines are the files of the two programs.
	Lastseen, Baselines string
	// Dir is where folders are made.
	Dir string
	// ServerCPUs pins what is started; empty leaves it to the kernel.
	ServerCPUs []int
	// Connections is how many connections loads have, for which services are set up.
	Connections int
	// KeysPerOrganisation is how many API keys are made for each organisation.
	KeysPerOrganisation int
	// Server is where services keep their data; nil is the embedded engine of each.
	Server *Server
	// Say reports progress.
	Say func(format string, args ...any)
}

// Rig starts services. One goroutine uses it.
type Rig struct{ Options }

// New makes a rig.
func New(options Options) *Rig { return &Rig{options} }

// Folder makes a folder for a process's data and log.
func (r *Rig) Folder(name string) (string, error) {
	dir := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", fmt.Errorf("make a folder for %s: %w", name, err)
	}
	return dir, nil
}

// dataDir is the data directory of a service.
func (r *Rig) dataDir(name string) string { return filepath.Join(r.Dir, name, "data") }

// Store is where the data of a service lie.
func (r *Rig) Store(name string) dataset.Store {
	if r.Server != nil {
		return dataset.Store{ClickHouse: r.Server.database(name)}
	}
	return dataset.Store{DataDir: r.dataDir(name)}
}

// emptyStore makes sure that nothing of an earlier run is where a service is to keep its data.
func (r *Rig) emptyStore(ctx context.Context, name string) error {
	if r.Server == nil {
		return nil // its folder is new
	}
	return r.Server.empty(ctx, name)
}

// ClickHouse is where the rig's services keep their data, as a record calls it.
func (r *Rig) ClickHouse() string {
	if r.Server != nil {
		return record.Server
	}
	return record.Embedded
}

// WithServer is a rig whose services keep their data in a ClickHouse server of their own, below a folder, which the caller closes.
func (r *Rig) WithServer(ctx context.Context, name string) (*Rig, error) {
	options := r.Options
	options.Dir = filepath.Join(r.Dir, name)
	data := filepath.Join(options.Dir, "clickhouse")
	if err := os.MkdirAll(data, 0o711); err != nil {
		return nil, fmt.Errorf("make a folder for the ClickHouse server: %w", err)
	}
	var err error
	options.Server, err = StartServer(ctx, r.Lastseen, data, r.ServerCPUs)
	return New(options), err
}
