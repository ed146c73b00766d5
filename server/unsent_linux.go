package server

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent returns how many bytes that were written to a connection its other end has not acknowledged yet, and
// false for a connection that cannot tell.
func unsent(c net.Conn) (n int, known bool) {
	descriptor, ok := c.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := descriptor.SyscallConn()
	if err != nil {
		return 0, false
	}
	failure := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n, failure == nil && err == nil
}
