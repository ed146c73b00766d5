package bench

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

	"lastseen/bench/rival"
)

// startPostgres starts a PostgreSQL of its own and a front that asks it for every request.
func (s *suite) startPostgres(ctx context.Context, beside *service) (on *service, absent string, err error) {
	bin, absent := findPostgres()
	if absent != "" {
		return nil, absent, nil
	}
	credential, absent := postgresUser()
	if absent != "" {
		return nil, absent, nil
	}
	database, url, err := s.startDatabase(ctx, "postgres", bin, credential)
	if err != nil {
		return nil, "", err
	}
	on, err = s.startFront(ctx, "postgres-front", "PostgreSQL through pgx", rival.Config{Name: rival.Postgres, PostgresURL: url, Dataset: s.spec}, beside)
	if err != nil {
		return nil, "", errors.Join(err, database.stop())
	}
	on.processes = append([]*process{database}, on.processes...)
	on.version = programVersion(filepath.Join(bin, "postgres"), "--version")
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

// startDatabase makes an empty database in a folder and starts PostgreSQL on it, reached by a socket
// there.
func (s *suite) startDatabase(ctx context.Context, folder, bin string, credential *syscall.Credential) (*process, string, error) {
	dir, err := s.folder(folder)
	if err != nil {
		return nil, "", err
	}
	if credential != nil {
		if err := os.Chown(dir, int(credential.Uid), int(credential.Gid)); err != nil {
			return nil, "", fmt.Errorf("give PostgreSQL its folder: %w", err)
		}
	}
	data := filepath.Join(dir, "data")
	err = launch{
		name: "initdb", path: filepath.Join(bin, "initdb"), dir: dir, credential: credential,
		args: []string{"--pgdata", data, "--username", "bench", "--auth", "trust", "--no-sync"},
	}.run(ctx)
	if err != nil {
		return nil, "", err
	}
	p, err := launch{
		name: "postgres", path: filepath.Join(bin, "postgres"), dir: dir, credential: credential, cpus: s.processors.server,
		args: []string{"-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "shared_buffers=1GB", "-c", "max_connections=300"},
	}.start()
	if err != nil {
		return nil, "", err
	}
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = p.await(waiting, func() bool { // it listens before it lets anybody in
		return exec.CommandContext(waiting, filepath.Join(bin, "pg_isready"), "--host", dir, "--quiet").Run() == nil
	})
	if err != nil {
		return nil, "", errors.Join(err, p.stop())
	}
	return p, fmt.Sprintf("host=%s user=bench dbname=postgres", dir), nil
}
