package transport

import (
	"net"

	"golang.org/x/sys/unix"
)

// unsent returns how many bytes that were written to a connection its other end has not acknowledged yet, and
// false for a connection that cannot tell.
func unsent(c net.Conn) (n int, known bool) {
	raw, ok := descriptor(c)
	if !ok {
		return 0, false
	}
	var err error
	failure := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n, failure == nil && err == nil
}
