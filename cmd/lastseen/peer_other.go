//go:build !linux

package main

import (
	"net"
	"os"
)

// peerUser trusts the mode of the socket here.
func peerUser(*net.UnixConn) (user uint32, err error) { return uint32(os.Geteuid()), nil }
