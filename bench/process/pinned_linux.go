package process

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// childAttributes makes children that die with the suite, however it ends.
func childAttributes(credential *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: credential}
}

// starter runs the calls that need a thread of the suite's whole life: children are killed when the
// thread that made them ends, not the process.
var starter = func() chan func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for call := range calls {
			call()
		}
	}()
	return calls
}()

// startPinned starts a command on some processors only: it inherits the starting thread's.
func startPinned(cmd *exec.Cmd, cpus []int) error {
	failed := make(chan error)
	starter <- func() {
		failed <- func() error {
			if len(cpus) == 0 {
				return cmd.Start()
			}
			var before, wanted unix.CPUSet
			if err := unix.SchedGetaffinity(0, &before); err != nil {
				return fmt.Errorf("ask for the processors: %w", err)
			}
			for _, cpu := range cpus {
				wanted.Set(cpu)
			}
			if err := unix.SchedSetaffinity(0, &wanted); err != nil {
				return fmt.Errorf("pin to processors %v: %w", cpus, err)
			}
			defer unix.SchedSetaffinity(0, &before)
			return cmd.Start()
		}()
	}
	return <-failed
}
