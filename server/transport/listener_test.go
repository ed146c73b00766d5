package transport_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"lastseen/server/transport"
)

// exhausted is a listener that fails a number of times for want of something before it accepts.
type exhausted struct {
	net.Listener
	why   error
	times int
}

// Accept implements net.Listener.
func (e *exhausted) Accept() (net.Conn, error) {
	if e.times > 0 {
		e.times--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", e.why)}
	}
	return e.Listener.Accept()
}

// TestConnectionsAreAcceptedAgainAfterAWantOfDescriptors: fasthttp would take the error for the end.
func TestConnectionsAreAcceptedAgainAfterAWantOfDescriptors(t *testing.T) {
	t.Parallel()
	for _, why := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener := transport.Listen(&exhausted{inner, why, 3}, transport.Options{MaxConnections: 10})
		client, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := listener.Accept()
		if err != nil {
			t.Errorf("after %v: %v", why, err)
		} else {
			accepted.Close()
		}
		client.Close()
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a closed listener accepts with %v", err)
		}
	}
}

// TestAWantOfDescriptorsDoesNotHoldUpAShutdown closes the listener while it fails.
func TestAWantOfDescriptorsDoesNotHoldUpAShutdown(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopping := make(chan struct{})
	listener := transport.Listen(&exhausted{inner, syscall.EMFILE, 5}, transport.Options{MaxConnections: 10, Stopping: stopping})
	close(stopping)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it accepts with %v", err)
	}
}
