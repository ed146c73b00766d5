package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"lastseen/schema"
	"lastseen/schema/backup"
)

// The running service has the embedded engine for itself, so commands that need it ask the service, over a socket in the data
// directory. Nothing listens on the network for it: whoever may ask is who may read and write the data directory anyway, by the
// mode of the socket and by the user that the system says is at its other end.

const (
	// controlSocket is the socket's name in the data directory.
	controlSocket = "control.sock"
	// controlBackup is the path of the one request that there is.
	controlBackup = "/backup"
	// longestSocketPath is how long the path of a socket may be in the system's structure, less one.
	longestSocketPath = 107
)

// errNoService says that no service listens in a data directory.
var errNoService = errors.New("no service runs on the data directory")

// controlLine is one line of the answer to a backup, of which the last says how it ended.
type controlLine struct {
	Doing       string           `json:"doing,omitempty"`
	Step, Steps int              `json:",omitempty"`
	Done        *backup.Manifest `json:"done,omitempty"`
	Error       string           `json:"error,omitempty"`
}

// withSocketPath calls use with a path of a data directory's socket that is short enough for the system.
func withSocketPath(dataDir string, use func(path string) error) error {
	path := filepath.Join(dataDir, controlSocket)
	if len(path) <= longestSocketPath {
		return use(path)
	}
	dir, err := os.Open(dataDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return use(filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), controlSocket))
}

// serveControl listens for commands, where the engine is the service's own. That it cannot is no reason not to serve.
func serveControl(a *App) {
	if a.config.schema.ClickHouse != schema.Embedded {
		return
	}
	var listener *net.UnixListener
	err := withSocketPath(a.config.schema.DataDir, func(path string) (err error) {
		// What a process has left that was killed; this one has the lock.
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
			return err
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		a.config.log.Warn("'lastseen backup' cannot ask this service: the socket for it could not be made", "error", err)
		if listener != nil {
			listener.Close()
		}
		return
	}
	listener.SetUnlinkOnClose(false) // its path may be gone by then
	handler := &control{app: a}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+controlBackup, handler.backup)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	working, cancel := context.WithCancel(context.Background())
	server.BaseContext = func(net.Listener) context.Context { return working }
	done := make(chan error, 1)
	go func() { done <- server.Serve(ownersOnly{listener}) }()
	a.onStop("the socket for commands", func(context.Context) error {
		cancel()
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		handler.running.Wait()
		return errors.Join(err, os.Remove(filepath.Join(a.config.schema.DataDir, controlSocket)))
	})
}

// ownersOnly accepts connections of the user that the process runs as, and of root.
type ownersOnly struct{ *net.UnixListener }

// Accept implements net.Listener.
func (l ownersOnly) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if user, err := peerUser(c); err == nil && (user == uint32(os.Geteuid()) || user == 0) {
			return c, nil
		}
		c.Close()
	}
}

// control answers commands.
type control struct {
	app     *App
	running sync.WaitGroup
	busy    sync.Mutex // held by the backup that is made
}

// backup makes a backup and says, line by line, how far it is.
func (c *control) backup(w http.ResponseWriter, r *http.Request) {
	c.running.Add(1)
	defer c.running.Done()
	lines := json.NewEncoder(w)
	say := func(line controlLine) {
		_ = lines.Encode(line) // a command that has gone ends the request
		_ = http.NewResponseController(w).Flush()
	}
	var order backup.Order
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&order); err != nil {
		say(controlLine{Error: "the service does not understand the command: both must be of the same version"})
		return
	}
	_, _ = io.Copy(io.Discard, r.Body) // only behind its end is it noticed that the command has gone
	if !c.busy.TryLock() {
		say(controlLine{Error: "another backup is being made: wait until it has ended"})
		return
	}
	defer c.busy.Unlock()
	log := c.app.config.log
	log.Info("a backup begins", "to", order.To.Address, "incremental", order.Incremental)
	m, err := writeBackup(r.Context(), c.app.db, c.app.config.schema.DataDir, order, func(doing string, step, steps int) {
		say(controlLine{Doing: doing, Step: step, Steps: steps})
	})
	if err != nil {
		log.Error("the backup failed", "error", err)
		say(controlLine{Error: err.Error()})
		return
	}
	log.Info("the backup is whole", "name", m.Name, "bytes", m.Bytes, "after", m.Ended.Sub(m.Began).Round(time.Millisecond).String())
	say(controlLine{Done: m})
}

// askService has the service that runs on a data directory make a backup. The error is errNoService where none does.
func askService(ctx context.Context, dataDir string, order backup.Order, progress backup.Progress) (m *backup.Manifest, err error) {
	body, err := json.Marshal(order)
	if err != nil {
		return nil, fmt.Errorf("ask the service: %w", err)
	}
	err = withSocketPath(dataDir, func(path string) error {
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}
		defer transport.CloseIdleConnections()
		m, err = askOver(ctx, &http.Client{Transport: transport}, body, progress)
		return err
	})
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errNoService
	}
	return m, err
}
