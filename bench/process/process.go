// Package process starts the programs that the load suite measures and those that it compares with, and
// tells what they use of the machine.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is a program that the suite has started and will stop.
type Process struct {
	name    string
	cmd     *exec.Cmd
	logPath string
	exited  chan struct{}
	err     error // after exited
}

// Launch says how to start a process.
type Launch struct {
	// Name is the process's in messages, and its log's.
	Name string
	// Path is the program's file.
	Path string
	// Args are its arguments, without its name.
	Args []string
	// Dir is where its log goes.
	Dir string
	// Env is added to the suite's environment, from which lastseen's own variables are left out.
	Env []string
	// CPUs pins it; empty leaves it to the kernel.
	CPUs []int
	// Credential runs it as another user.
	Credential *syscall.Credential
}

// Start starts a process. Its output goes to a file of its own.
func (l Launch) Start() (*Process, error) {
	p := &Process{name: l.Name, logPath: filepath.Join(l.Dir, l.Name+".log"), exited: make(chan struct{})}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", l.Name, err)
	}
	defer log.Close()
	p.cmd = exec.Command(l.Path, l.Args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(Environment(), l.Env...)
	p.cmd.SysProcAttr = childAttributes(l.Credential)
	if l.Credential != nil {
		p.cmd.Dir = l.Dir // another user may not be let into the current one
	}
	if err := startPinned(p.cmd, l.CPUs); err != nil {
		return nil, fmt.Errorf("start %s: %w", l.Name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Environment is the suite's own without the settings of lastseen, which are meant for the suite.
func Environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "LASTSEEN_") {
			env = append(env, entry)
		}
	}
	return env
}

// Run runs a process to its end, and stops it when ctx ends first.
func (l Launch) Run(ctx context.Context) error {
	p, err := l.Start()
	if err != nil {
		return err
	}
	select {
	case <-p.exited:
		if p.err != nil {
			return fmt.Errorf("run %s: %w: %s", l.Name, p.err, p.lastWords())
		}
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.Stop())
	}
}

// Stop asks the process to end and, after a while, makes it. It may be called again.
func (p *Process) Stop() error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(30 * time.Second):
	}
	err := p.cmd.Process.Kill()
	<-p.exited
	return errors.Join(err, fmt.Errorf("%s had to be killed", p.name))
}

// Kill ends the process as it is, and waits for its end. It may be called again.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.exited
	return nil
}

// Signal sends the process a signal, such as the one that stops it where it is.
func (p *Process) Signal(signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("send %v to %s: %w", signal, p.name, err)
	}
	return nil
}

// lastWords returns the end of the process's log, for an error message.
func (p *Process) lastWords() string {
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return string(text[max(0, len(text)-600):])
}

// AwaitHTTP waits until the process answers a path with 200.
func (p *Process) AwaitHTTP(ctx context.Context, url string) error {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return p.Await(ctx, func() bool {
		response, err := client.Get(url)
		if err != nil {
			return false
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// Await polls until ready, the process's end or the context's.
func (p *Process) Await(ctx context.Context, ready func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready() {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended (%v): %s", p.name, p.err, p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %s", p.name, context.Cause(ctx), p.lastWords())
		case <-tick.C:
		}
	}
}

// FreeAddress returns a loopback address that nobody listened on just now.
func FreeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
