package embedded

import (
	"syscall"
	"unsafe"
)

// kernelSigaction has room for the kernel's struct sigaction on any Linux
// architecture (32 bytes on amd64).
type kernelSigaction [8]uintptr

// signalCount is the number of signals on Linux; sigset is its size in bytes.
const (
	signalCount = 64
	sigset      = signalCount / 8
)

// ignored is the handler that stands for no handling at all, SIG_IGN.
const ignored = 1

// keepSignalHandlers runs f and puts the process's signal handlers back as
// they were: the engine may install its own while it starts (only then), and
// the Go runtime cannot work without the ones that it installed.
//
// A signal that nobody handled before and that the engine wants to handle is
// ignored from then on. The engine sends one such signal to its threads, and
// to Go's, to answer from system.stack_trace; without a handler it would end
// the process, and its handler does not understand Go's stacks.
func keepSignalHandlers(f func()) {
	var saved [signalCount + 1]kernelSigaction
	for sig := 1; sig <= signalCount; sig++ {
		sigaction(sig, nil, &saved[sig])
	}
	f()
	for sig := 1; sig <= signalCount; sig++ {
		var now kernelSigaction
		sigaction(sig, nil, &now)
		if now == saved[sig] {
			continue
		}
		if saved[sig][0] == 0 {
			saved[sig] = kernelSigaction{ignored}
		}
		sigaction(sig, &saved[sig], nil)
	}
}

// sigaction is the system call itself: the C library's function would wrap
// the handlers, and os/signal knows only those that it was asked for. It
// cannot fail but for the two signals that nobody may change.
func sigaction(sig int, set, old *kernelSigaction) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), sigset, 0, 0)
}
