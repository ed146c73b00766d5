package embedded

import (
	"bufio"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// keepNotice runs f, which starts the engine, and keeps its notice of where it logs to, which no argument
// switches off, from standard error: that is a person's terminal or a log of JSON lines. Everything
// else that the process writes there meanwhile is passed on as it comes.
func keepNotice(f func()) {
	restore := filterStderr()
	defer restore()
	f()
}

// filterStderr puts a filter before standard error until restore is called. It does without one when the
// process has too few descriptors left, or no standard error.
func filterStderr() (restore func()) {
	const stderr = 2
	kept, err := unix.FcntlInt(stderr, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	original := os.NewFile(uintptr(kept), "stderr")
	read, write, err := os.Pipe()
	if err != nil {
		original.Close()
		return func() {}
	}
	err = unix.Dup3(int(write.Fd()), stderr, 0)
	write.Close()
	if err != nil {
		read.Close()
		original.Close()
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		passOn(original, read)
	}()
	return func() {
		// It cannot fail: both descriptors are open.
		_ = unix.Dup3(kept, stderr, 0)
		// A process that was started meanwhile may hold the pipe open.
		_ = read.SetReadDeadline(time.Now().Add(time.Second))
		<-done
		read.Close()
		original.Close()
	}
}

// passOn copies lines, but for the engine's notice and empty ones, of which it writes one before a server.
func passOn(to, from *os.File) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if !strings.HasPrefix(line, logNotice) && line != "\n" {
			_, _ = to.WriteString(line) // there is nobody to tell
		}
		if err != nil {
			return
		}
	}
}
