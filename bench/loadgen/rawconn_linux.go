package loadgen

import (
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// rawConn lets crypto/tls run over a socket that may be non-blocking. A read that finds nothing
// fails with a temporary error, after which crypto/tls can be asked again.
type rawConn struct{ fd int }

func isWouldBlock(err error) bool {
	if err == unix.EAGAIN {
		return true
	}
	_, is := err.(wouldBlock)
	return is
}

// wouldBlock is a net.Error that says: nothing to read now.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "no bytes to read yet" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// Read implements net.Conn.
func (r *rawConn) Read(b []byte) (int, error) {
	n, err := unix.Read(r.fd, b)
	switch {
	case err == unix.EAGAIN:
		return 0, wouldBlock{}
	case err != nil:
		return 0, err
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn. It waits for room in the socket's buffer.
func (r *rawConn) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		n, err := write(r.fd, b[written:])
		if err == unix.EAGAIN {
			if _, err = unix.Poll([]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLOUT}}, int(dialTimeout.Milliseconds())); err != nil && err != unix.EINTR {
				return written, err
			}
			continue
		}
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// Close implements net.Conn; the descriptor belongs to the socket.
func (r *rawConn) Close() error { return nil }

// LocalAddr implements net.Conn.
func (r *rawConn) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (r *rawConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline implements net.Conn; time-outs are the loop's.
func (r *rawConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (r *rawConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (r *rawConn) SetWriteDeadline(time.Time) error { return nil }
