package clickhousetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"lastseen/schema/embedded"
)

// processVariable makes a test binary run a server instead of tests; its value is a processOrder.
const processVariable = "LASTSEEN_TEST_CLICKHOUSE_PROCESS"

// processOrder is what the process of a server is to do.
type processOrder struct {
	Dir     string
	Options embedded.ServerOptions
}

// init turns the process into a server where it was started to be one. It cannot wait for main, which is
// that of a test binary.
func init() {
	order := os.Getenv(processVariable)
	if order == "" {
		return
	}
	if err := runProcess(order); err != nil {
		fmt.Fprintln(os.Stderr, "clickhousetest:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runProcess runs a server until SIGTERM, and says on standard output when it is ready.
func runProcess(text string) error {
	var order processOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return embedded.Serve(ctx, order.Dir, order.Options, func() { fmt.Println(readyLine) })
}

// readyLine is what a process says when its server answers.
const readyLine = "clickhousetest: ready"

// process is a running server. A goroutine of its own, tied to one thread, starts it and waits for its
// end, because the system kills a child whose parent's thread ends.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
	err     error // how it ended, once it has
}

// startProcess starts a process whose output goes to a file. It returns once the process runs.
func startProcess(order processOrder, output *os.File) (*process, error) {
	text, err := json.Marshal(order)
	if err != nil {
		return nil, fmt.Errorf("write the order: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this binary: %w", err)
	}
	p := &process{command: exec.Command(self), ended: make(chan struct{})}
	p.command.Env = append(os.Environ(), processVariable+"="+string(text))
	p.command.Dir = filepath.Dir(order.Dir)
	p.command.Stdout, p.command.Stderr = output, output
	// The process dies with the tests, however they end.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.command.Start()
		started <- err
		if err == nil {
			p.err = p.command.Wait()
			close(p.ended)
		}
	}()
	return p, <-started
}

// signal sends a signal; a process that has ended takes none.
func (p *process) signal(signal syscall.Signal) error { return p.command.Process.Signal(signal) }
