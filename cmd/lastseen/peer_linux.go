package main

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// peerUser returns the user at the other end of a local connection, as the system knows it.
func peerUser(c *net.UnixConn) (user uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var credential *unix.Ucred
	failure := raw.Control(func(fd uintptr) { credential, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if failure != nil || err != nil {
		return 0, errors.Join(failure, err)
	}
	return credential.Uid, nil
}
