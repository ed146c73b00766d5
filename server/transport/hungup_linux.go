package transport

import (
	"net"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the other end of a connection has closed it, whatever is still to be read before that: over TLS, its
// word that it closes is.
func hungUp(c net.Conn) bool {
	raw, ok := descriptor(c)
	if !ok {
		return false
	}
	var (
		n   int
		err error
	)
	failure := raw.Control(func(fd uintptr) {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 0) // POLLERR and POLLHUP always count
	})
	return failure != nil || err == nil && n > 0
}
