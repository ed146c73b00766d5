package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	dialTimeout = 5 * time.Second
	firstBuffer = 4 << 10
	maxAnswer   = 64 << 20
)

// sockets is the network of one worker: non-blocking sockets on one epoll.
type sockets struct {
	target Target
	epoll  int
	conns  []socket
	events []unix.EpollEvent
	answer Answer
}

// socket is one connection.
type socket struct {
	file  *os.File // owns the descriptor
	fd    int
	tls   *tls.Conn // nil on a plain connection
	in    []byte
	n     int    // bytes of in that are filled
	out   []byte // the part of a request that the kernel has not taken yet
	polls uint32 // the events that epoll watches for
}

// dial opens all connections of a worker.
func dial(ctx context.Context, target Target, connections int) (*sockets, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	s := &sockets{
		target: target, epoll: epoll, conns: make([]socket, connections),
		events: make([]unix.EpollEvent, min(max(connections, 16), 1024)),
	}
	for c := range s.conns {
		s.conns[c].fd = -1
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, s.close())
		}
		if err := s.reconnect(c); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// reconnect implements network.
func (s *sockets) reconnect(c int) error {
	k := &s.conns[c]
	if err := k.close(); err != nil {
		return err
	}
	if err := k.open(s.target, c); err != nil {
		return fmt.Errorf("connect to %s: %w", s.target.Address, err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c)}
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, k.fd, &event); err != nil {
		return fmt.Errorf("watch a connection: %w", err)
	}
	k.polls = unix.EPOLLIN
	return nil
}

// open connects with the help of package net (names, IPv6, time-outs), then takes the descriptor
// away from Go's own poller, which it must not share.
func (k *socket) open(target Target, c int) error {
	dialer := net.Dialer{Timeout: dialTimeout, LocalAddr: target.localAddr(c)}
	conn, err := dialer.Dial("tcp", target.Address)
	if err != nil {
		return err
	}
	k.file, err = conn.(*net.TCPConn).File()
	if err = errors.Join(err, conn.Close()); err != nil {
		return err
	}
	k.fd = int(k.file.Fd())
	if k.in == nil {
		k.in = make([]byte, firstBuffer)
	}
	k.n, k.out, k.tls = 0, nil, nil
	if target.TLS != nil {
		if err := k.handshake(target.TLS); err != nil {
			return errors.Join(err, k.close())
		}
	}
	return unix.SetNonblock(k.fd, true)
}

// handshake sets TLS up while the socket still blocks.
func (k *socket) handshake(config *tls.Config) error {
	limit := unix.NsecToTimeval(int64(dialTimeout))
	if err := errors.Join(unix.SetNonblock(k.fd, false),
		unix.SetsockoptTimeval(k.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)); err != nil {
		return err
	}
	k.tls = tls.Client(&rawConn{fd: k.fd}, config)
	if err := k.tls.Handshake(); err != nil {
		return fmt.Errorf("set TLS up: %w", err)
	}
	return nil
}

func (k *socket) close() error {
	if k.file == nil {
		return nil
	}
	err := k.file.Close() // which also takes it off the epoll
	k.file, k.fd, k.tls = nil, -1, nil
	return err
}

func (s *sockets) close() error {
	errs := []error{unix.Close(s.epoll)}
	for c := range s.conns {
		errs = append(errs, s.conns[c].close())
	}
	return errors.Join(errs...)
}

// send implements network.
func (s *sockets) send(c int, request []byte) error {
	k := &s.conns[c]
	if k.tls != nil {
		_, err := k.tls.Write(request)
		return err
	}
	n, err := write(k.fd, request)
	if err != nil && err != unix.EAGAIN {
		return err
	}
	if n < len(request) {
		k.out = request[n:]
		return s.watch(c, unix.EPOLLIN|unix.EPOLLOUT)
	}
	return nil
}

// flush sends more of a request that did not fit the socket's buffer.
func (s *sockets) flush(c int) error {
	k := &s.conns[c]
	n, err := write(k.fd, k.out)
	if err != nil && err != unix.EAGAIN {
		return err
	}
	k.out = k.out[n:]
	if len(k.out) > 0 {
		return nil
	}
	return s.watch(c, unix.EPOLLIN)
}

func (s *sockets) watch(c int, events uint32) error {
	k := &s.conns[c]
	if k.polls == events {
		return nil
	}
	k.polls = events
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_MOD, k.fd, &unix.EpollEvent{Events: events, Fd: int32(c)})
}

// wait implements network.
func (s *sockets) wait(timeout time.Duration, answered func(c int, a *Answer, err error)) error {
	n, err := epollWait(s.epoll, s.events, timeout)
	if err != nil {
		return err
	}
	for i := range n {
		c, events := int(s.events[i].Fd), s.events[i].Events
		if events&unix.EPOLLOUT != 0 && len(s.conns[c].out) > 0 {
			if err := s.flush(c); err != nil {
				answered(c, nil, fmt.Errorf("send a request: %w", err))
				continue
			}
		}
		if events&^unix.EPOLLOUT != 0 && s.conns[c].file != nil {
			s.receive(c, answered)
		}
	}
	return nil
}

// receive reads what has come over connection c and hands on the answer that is whole.
func (s *sockets) receive(c int, answered func(c int, a *Answer, err error)) {
	k := &s.conns[c]
	for {
		if k.n == len(k.in) {
			if len(k.in) >= maxAnswer {
				answered(c, nil, fmt.Errorf("an answer is longer than %d bytes", maxAnswer))
				return
			}
			k.in = append(k.in, make([]byte, len(k.in))...)
		}
		room := len(k.in) - k.n
		n, err := k.read(k.in[k.n:])
		switch {
		case err != nil && isWouldBlock(err):
			return
		case err == nil && n == 0:
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			answered(c, nil, fmt.Errorf("receive an answer: %w", err))
			return
		}
		k.n += n
		taken, err := s.target.Codec.Decode(k.in[:k.n], &s.answer)
		switch {
		case err != nil:
			answered(c, nil, err)
			return
		case taken > 0 && taken < k.n:
			answered(c, nil, fmt.Errorf("%d bytes came after the end of an answer", k.n-taken))
			return
		case taken > 0:
			k.n = 0
			if len(k.out) > 0 { // answered before it was sent whole: what comes next would be taken for the rest of it
				s.answer.closes = true
			}
			answered(c, &s.answer, nil)
			return // a request that was sent just now is answered in a later round
		case n < room && k.tls == nil:
			return // a short read has emptied the socket
		}
	}
}

func (k *socket) read(b []byte) (int, error) {
	if k.tls != nil {
		n, err := k.tls.Read(b)
		if err == io.EOF {
			return 0, nil
		}
		return n, err
	}
	return read(k.fd, b)
}

// read and write are raw system calls: on a non-blocking socket they return at once, so the
// scheduler need not be told.
func read(fd int, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

func write(fd int, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// epollWait waits with a resolution of nanoseconds: epoll_wait's milliseconds would make every
// request of an open loop late.
func epollWait(epoll int, events []unix.EpollEvent, timeout time.Duration) (int, error) {
	limit := unix.NsecToTimespec(int64(timeout))
	for {
		var n uintptr
		var errno unix.Errno
		if timeout <= 0 {
			n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))),
				uintptr(len(events)), uintptr(unsafe.Pointer(&limit)), 0, 0)
		} else {
			n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))),
				uintptr(len(events)), uintptr(unsafe.Pointer(&limit)), 0, 0)
		}
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
			continue
		}
		return 0, fmt.Errorf("wait for connections: %w", errno)
	}
}
