//go:build unix

package server

import (
	"net"
	"syscall"
)

// departed reports whether the other end of a connection has closed it. It takes nothing from what
// the connection has to read.
func departed(c net.Conn) bool {
	if ours, ok := c.(*conn); ok {
		c = ours.Conn
	}
	descriptor, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := descriptor.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		var next [1]byte
		n, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err == syscall.ECONNRESET
	})
	return gone || err != nil // closed on our side, by a shutdown
}
