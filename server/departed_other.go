//go:build !unix

package server

import "net"

// departed reports whether the other end of a connection has closed it, which cannot be told here
// without reading from it.
func departed(net.Conn) bool { return false }
