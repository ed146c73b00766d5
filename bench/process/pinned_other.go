//go:build !linux

package process

import (
	"os/exec"
	"syscall"
)

func childAttributes(credential *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential}
}

// startPinned starts a command; only Linux can pin it.
func startPinned(cmd *exec.Cmd, _ []int) error { return cmd.Start() }
