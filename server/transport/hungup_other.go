//go:build unix && !linux

package transport

import "net"

// hungUp reports whether the other end of a connection has closed it. Here a client that closes a secure one in good order is
// noticed only when something is written to it.
func hungUp(c net.Conn) bool { return closed(c) }
