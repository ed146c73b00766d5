//go:build !unix

package transport

import "net"

// departed reports whether the other end of a connection has closed it, which cannot be told here
// without reading from it.
func departed(net.Conn) bool { return false }

// pending reports whether a connection has something to read, which cannot be told here either.
func pending(net.Conn) bool { return false }
