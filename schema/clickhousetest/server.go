// Package clickhousetest runs real ClickHouse servers for tests, each a process of its own out of the
// engine that the product embeds: with ClickHouse's own listeners, and killed, stopped and restarted at
// will. A process dies with the tests that started it.
package clickhousetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lastseen/schema/embedded"
)

// host is where servers listen.
const host = "127.0.0.1"

// Options say what a server is like. The zero value is a server with an empty folder of its own, whose
// user "default" has no password and every right.
type Options struct {
	// Dir is the folder for data, such as the one of an embedded engine. Empty means a new one, which
	// Close removes.
	Dir string
	// Config are elements of a config.xml, such as <macros>…</macros>.
	Config string
	// Users are elements of a users.xml. There is a user "default" besides, who has no password; one of that
	// name here goes before it.
	Users string
}

// Server is a ClickHouse server in a process of its own, or one that is down. Its ports are the same
// through all its life. It belongs to one goroutine.
type Server struct {
	HTTPPort, TCPPort int
	options           Options
	dir               string // with the folder for data and the files of the process
	data              string
	process           *process // nil while the server is down
}

// New makes a server that is down, so that its ports can be told to others before it starts.
func New(options Options) (*Server, error) {
	dir, err := os.MkdirTemp("", "lastseen-clickhouse-")
	if err != nil {
		return nil, fmt.Errorf("make the server's folder: %w", err)
	}
	s := &Server{options: options, dir: dir, data: options.Dir}
	if s.data == "" {
		s.data = filepath.Join(dir, "data")
	}
	for _, port := range []*int{&s.HTTPPort, &s.TCPPort} {
		if *port, err = freePort(); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return s, nil
}

// Start starts a server for as long as the test lasts.
func Start(tb testing.TB, options Options) *Server {
	tb.Helper()
	s, err := New(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := s.Start(); err != nil {
		tb.Fatal(err)
	}
	return s
}

// Configure adds elements of a config.xml; they count from the next Start.
func (s *Server) Configure(config string) { s.options.Config += config }

// SetUsers replaces Options.Users, which must not have been empty; they count from the next Start.
func (s *Server) SetUsers(users string) { s.options.Users = users }

// Start starts a server that is down and returns when it answers.
func (s *Server) Start() error {
	order := processOrder{Dir: s.data, Options: embedded.ServerOptions{
		Host: host, HTTPPort: s.HTTPPort, TCPPort: s.TCPPort,
		Config: filepath.Join(s.dir, "options.xml"), MaxMemory: maxMemory,
	}}
	if err := s.writeConfig(order.Options.Config); err != nil {
		return err
	}
	output, err := os.OpenFile(s.outputFile(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make the file for the server's output: %w", err)
	}
	defer output.Close()
	if s.process, err = startProcess(order, output); err != nil {
		s.process = nil
		return fmt.Errorf("start the server: %w", err)
	}
	if err := s.waitReady(); err != nil {
		return errors.Join(err, s.Kill())
	}
	return nil
}

// maxMemory bounds the memory of a server in bytes: several may run beside the tests.
const maxMemory = 2 << 30

// startTime is how long a server may take to start; a busy machine may be very slow.
const startTime = 2 * time.Minute

// waitReady waits until the process says that the server answers.
func (s *Server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		output, err := os.ReadFile(s.outputFile())
		if err != nil {
			return fmt.Errorf("read the server's output: %w", err)
		}
		if bytes.Contains(output, []byte(readyLine)) {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.process.ended:
			return fmt.Errorf("the server did not start: %w: %s", s.process.err, output)
		case <-ctx.Done():
			return fmt.Errorf("the server was not ready within %s: %s", startTime, output)
		}
	}
}

// Terminate ends the server as SIGTERM does, in order, and returns when it is down.
func (s *Server) Terminate() error {
	if err := s.end(syscall.SIGTERM); err != nil {
		output, _ := os.ReadFile(s.outputFile())
		return fmt.Errorf("end the server: %w: %s", err, output)
	}
	return nil
}

// Kill ends the server as kill -9 does, and returns when it is down.
func (s *Server) Kill() error {
	var killed *exec.ExitError
	if err := s.end(syscall.SIGKILL); err != nil && !errors.As(err, &killed) {
		return fmt.Errorf("kill the server: %w", err)
	}
	return nil
}

// end sends a signal that ends the process and returns how it ended.
func (s *Server) end(signal syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	process := s.process
	s.process = nil
	select {
	case <-process.ended:
		output, _ := os.ReadFile(s.outputFile())
		return fmt.Errorf("the server had ended by itself: %v: %s", process.err, output)
	default:
	}
	if err := process.signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-process.ended
	return process.err
}

// Freeze stops the process as SIGSTOP does: connections are taken by the system, and nothing answers. It returns when all
// its threads stand, which takes a moment.
func (s *Server) Freeze() error {
	if err := s.process.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return unix.Waitid(unix.P_PID, s.PID(), nil, unix.WSTOPPED|unix.WNOWAIT, nil)
}

// Thaw resumes a frozen server.
func (s *Server) Thaw() error { return s.process.signal(syscall.SIGCONT) }

// Restart kills the server and starts it again, on the same data and the same ports.
func (s *Server) Restart() error { return errors.Join(s.Kill(), s.Start()) }

// Close kills the server if it is up and removes its folder.
func (s *Server) Close() error { return errors.Join(s.Kill(), os.RemoveAll(s.dir)) }

// PID is the id of the server's process.
func (s *Server) PID() int { return s.process.command.Process.Pid }

// URL is the address of a database over HTTP, as schema.Options.ClickHouse takes it.
func (s *Server) URL(database string) string {
	address := url.URL{Scheme: "http", Host: s.Address(), Path: "/" + database}
	return address.String()
}

// Address is where the server listens for HTTP.
func (s *Server) Address() string { return net.JoinHostPort(host, strconv.Itoa(s.HTTPPort)) }

// Query runs a statement over HTTP, without any code of the product's, and returns the answer as
// tab-separated lines, or the error's text.
func (s *Server) Query(tb testing.TB, statement string) string {
	tb.Helper()
	client := http.Client{Timeout: startTime}
	response, err := client.Post(s.URL(""), "text/plain", strings.NewReader(statement))
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

// Data is the folder of the server's data.
func (s *Server) Data() string { return s.data }

// LogFile is the file with the engine's warnings and errors.
func (s *Server) LogFile() string { return filepath.Join(s.data, embedded.LogName) }

func (s *Server) outputFile() string { return filepath.Join(s.dir, "output.txt") }
