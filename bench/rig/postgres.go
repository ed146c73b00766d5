package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"lastseen/bench/baseline"
	"lastseen/bench/dataset"
	"lastseen/bench/process"
	"lastseen/bench/record"
)

// startPostgres starts a PostgreSQL of its own and a front that asks it for every request.
func (r *Rig) startPostgres(ctx context.Context, spec dataset.Spec, beside *Service) (on *Service, absent string, err error) {
	database, absent, err := r.StartDatabase(ctx, "postgres")
	if absent != "" || err != nil {
		return nil, absent, err
	}
	on, err = r.startFront(ctx, "postgres-front", "PostgreSQL through pgx", baseline.Config{Name: baseline.Postgres, PostgresURL: database.URL, Dataset: spec}, beside)
	if err != nil {
		return nil, "", errors.Join(err, database.Stop())
	}
	on.processes = append([]*process.Process{database.process}, on.processes...)
	on.Version = database.Version
	return on, "", nil
}

// findPostgres returns the folder of the newest PostgreSQL's programs, or why there is none. Debian
// keeps them out of the PATH.
func findPostgres() (bin, absent string) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // the other programs are beside the real one
			return filepath.Dir(path), ""
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is good
	if len(found) == 0 {
		return "", "PostgreSQL is not installed"
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), ""
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 sorts a strange name first
	return n
}

// postgresUser returns whom PostgreSQL runs as: it refuses to be root.
func postgresUser() (credential *syscall.Credential, absent string) {
	if os.Geteuid() != 0 {
		return nil, ""
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, ""
		}
	}
	return nil, "PostgreSQL does not run as root, and there is no user postgres or nobody"
}

// Database is a running PostgreSQL.
type Database struct {
	// URL is where it listens.
	URL string
	// Version is what it says of itself.
	Version string

	process *process.Process
}

// Stop ends it.
func (d *Database) Stop() error { return d.process.Stop() }

// StartDatabase makes an empty database in a folder and starts PostgreSQL on it, reached by a socket there.
// Where PostgreSQL is not installed it returns why, and no database.
func (r *Rig) StartDatabase(ctx context.Context, folder string) (d *Database, absent string, err error) {
	bin, absent := findPostgres()
	if absent != "" {
		return nil, absent, nil
	}
	credential, absent := postgresUser()
	if absent != "" {
		return nil, absent, nil
	}
	dir, err := r.Folder(folder)
	if err != nil {
		return nil, "", err
	}
	data := filepath.Join(dir, "data")
	if err := makeDatabase(ctx, dir, data, bin, credential); err != nil {
		return nil, "", err
	}
	p, err := process.Launch{
		Name: "postgres", Path: filepath.Join(bin, "postgres"), Dir: dir, Credential: credential, CPUs: r.ServerCPUs,
		Args: []string{"-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "shared_buffers=1GB", "-c", "max_connections=300"},
	}.Start()
	if err != nil {
		return nil, "", err
	}
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = p.Await(waiting, func() bool { // it listens before it lets anybody in
		return exec.CommandContext(waiting, filepath.Join(bin, "pg_isready"), "--host", dir, "--quiet").Run() == nil
	})
	if err != nil {
		return nil, "", errors.Join(err, p.Stop())
	}
	url := fmt.Sprintf("host=%s user=bench dbname=postgres", dir)
	return &Database{URL: url, Version: record.ProgramVersion(filepath.Join(bin, "postgres"), "--version"), process: p}, "", nil
}

// makeDatabase has initdb make a database, as the user who is to run it.
func makeDatabase(ctx context.Context, dir, data, bin string, credential *syscall.Credential) error {
	if err := os.RemoveAll(data); err != nil { // of a database that was there before and has been stopped
		return fmt.Errorf("remove an earlier database: %w", err)
	}
	if credential != nil {
		if err := os.Chown(dir, int(credential.Uid), int(credential.Gid)); err != nil {
			return fmt.Errorf("give PostgreSQL its folder: %w", err)
		}
	}
	return process.Launch{
		Name: "initdb", Path: filepath.Join(bin, "initdb"), Dir: dir, Credential: credential,
		Args: []string{"--pgdata", data, "--username", "bench", "--auth", "trust", "--no-sync"},
	}.Run(ctx)
}
