//go:build unix

package transport

import (
	"net"
	"syscall"
)

// departed reports whether the other end of a connection has closed it.
func departed(c net.Conn) bool {
	if ours, is := c.(*Conn); is && ours.secure != nil {
		return hungUp(c)
	}
	return closed(c)
}

// closed reports whether the other end of a connection has closed it and nothing is to be read before that.
func closed(c net.Conn) bool {
	n, err := peek(c)
	return n == 0 && err == nil || err != nil && err != syscall.EAGAIN // a shutdown closed our side, or theirs reset it
}

// pending reports whether a connection has something to read.
func pending(c net.Conn) bool {
	n, err := peek(c)
	return n > 0 && err == nil
}

// peek looks at what a connection has to read without taking it or waiting for it: nothing and no error
// at its end, EAGAIN while nothing has come, which is also what connections say that cannot be looked at.
func peek(c net.Conn) (n int, err error) {
	raw, ok := descriptor(c)
	if !ok {
		return 0, syscall.EAGAIN
	}
	failure := raw.Control(func(fd uintptr) {
		var next [1]byte
		n, _, err = syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	if failure != nil {
		return 0, failure
	}
	return max(n, 0), err
}

// descriptor returns the way to a connection's file descriptor, and false for one that has none.
func descriptor(c net.Conn) (raw syscall.RawConn, ok bool) {
	if ours, is := c.(*Conn); is {
		c = ours.Conn
	}
	holder, ok := c.(syscall.Conn)
	if !ok {
		return nil, false
	}
	raw, err := holder.SyscallConn()
	return raw, err == nil
}
