package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"lastseen/server/certificate/certificatetest"
	"lastseen/server/transport"
)

// secured is a listener with TLS, and what its clients connect with.
type secured struct {
	*testing.T
	listener *transport.Listener
	client   *tls.Config
}

func listenSecurely(t *testing.T, options transport.Options) *secured {
	t.Helper()
	pair := certificatetest.New(t)
	certificate, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	if options.MaxConnections == 0 {
		options.MaxConnections = 10
	}
	if options.Stopping == nil {
		options.Stopping = make(chan struct{})
	}
	s := &secured{t, transport.Listen(inner, options), pair.Client(t)}
	t.Cleanup(func() { s.listener.Close() })
	return s
}

// pair returns the two ends of a connection. What the service's end reads first has been read: the handshake is done.
func (s *secured) pair() (*transport.Conn, *tls.Conn) {
	s.Helper()
	client := make(chan *tls.Conn, 1)
	go func() {
		c, err := tls.Dial("tcp", s.listener.Addr().String(), s.client)
		if err != nil {
			s.Error(err)
		} else if _, err := io.WriteString(c, "x"); err != nil {
			s.Error(err)
		}
		client <- c
	}()
	accepted, err := s.listener.Accept()
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { accepted.Close() })
	if _, err := accepted.Read(make([]byte, 1)); err != nil {
		s.Fatal(err)
	}
	far := <-client
	if far == nil {
		s.FailNow()
	}
	s.Cleanup(func() { far.Close() })
	return transport.Of(accepted), far
}

// TestADeadlineThatIsMovedDoesNotEndASecureConnection: a tls.Conn over the socket itself would write nothing after the first.
func TestADeadlineThatIsMovedDoesNotEndASecureConnection(t *testing.T) {
	t.Parallel()
	near, far := listenSecurely(t, transport.Options{}).pair()
	long := make([]byte, 16<<20) // more than the sockets hold
	if _, err := rand.Read(long); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, deadline := range []time.Duration{50 * time.Millisecond, time.Minute} { // the runtime knows of the first alone
		if err := near.SetDeadline(began.Add(deadline)); err != nil {
			t.Fatal(err)
		}
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := near.Write(long)
		wrote <- err
	}()
	<-time.After(200 * time.Millisecond) // the first deadline passes while nobody reads
	got := make([]byte, len(long))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, long) {
		t.Fatalf("what was written does not come whole: %v", err)
	}
	if err := <-wrote; err != nil {
		t.Errorf("the write ended with %v", err)
	}
	if _, err := io.WriteString(far, "next"); err != nil {
		t.Fatal(err)
	}
	if n, err := near.Read(got); err != nil || string(got[:n]) != "next" {
		t.Errorf("afterwards it reads %q, %v", got[:n], err)
	}
}

func TestASecureAnswerGoesOnAfterAStall(t *testing.T) {
	t.Parallel()
	near, far := listenSecurely(t, transport.Options{}).pair()
	long := strings.Repeat("x", 16<<20)
	answer := near.BeginAnswer(time.Minute, time.Time{})
	err := answer.Collect(func() error {
		for _, part := range []string{"a", long, "b"} {
			if _, err := io.WriteString(near, part); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Send(); err != transport.ErrStalled {
		t.Fatalf("nobody reads: %v", err)
	}
	got := make(chan string)
	go func() {
		all, err := io.ReadAll(far)
		if err != nil {
			t.Error(err)
		}
		got <- string(all)
	}()
	if err := answer.Send(); err != nil {
		t.Fatalf("it is read: %v", err)
	}
	if _, err := io.WriteString(near, "the end"); err != nil {
		t.Fatal(err)
	}
	if err := near.Close(); err != nil {
		t.Fatal(err)
	}
	if all := <-got; all != "a"+long+"bthe end" {
		t.Errorf("%d bytes came, which begin with %.3q", len(all), all)
	}
}

func TestASecureClientThatLeavesIsNoticed(t *testing.T) {
	t.Parallel()
	near, far := listenSecurely(t, transport.Options{}).pair()
	if transport.Departed(near) {
		t.Error("it counts as gone before it has gone")
	}
	if err := far.Close(); err != nil { // with a word, which nobody has read when the connection ends
		t.Fatal(err)
	}
	work, watch := transport.WatchDeparture(t.Context(), near)
	defer watch.Stop()
	select {
	case <-work.Done():
		if cause := context.Cause(work); cause != transport.ErrDeparted {
			t.Errorf("the work ends for %v", cause)
		}
	case <-time.After(10 * time.Second):
		t.Error("it is not noticed")
	}
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("reading ends with %v", err)
	}
}

func TestAClientWithoutAHandshakeIsCutOff(t *testing.T) {
	t.Parallel()
	s := listenSecurely(t, transport.Options{HandshakeTime: 50 * time.Millisecond})
	silent, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	accepted, err := s.listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("reading ends with %v", err)
	}
	if _, err := accepted.Write([]byte("x")); err == nil {
		t.Error("something can be written without a handshake")
	}
	if err := accepted.Close(); err != nil {
		t.Fatal(err)
	}
}

// refusal is what connections are told in these tests.
func refusal(c net.Conn, why error) { io.WriteString(c, why.Error()+"\n") }

func TestASecureConnectionPastTheLimitIsToldWhy(t *testing.T) {
	t.Parallel()
	s := listenSecurely(t, transport.Options{MaxConnections: 1, Refuse: refusal})
	s.pair()
	go s.listener.Accept()
	c, err := tls.Dial("tcp", s.listener.Addr().String(), s.client)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	said, err := io.ReadAll(c)
	if err != nil || string(said) != transport.ErrConnections.Error()+"\n" {
		t.Errorf("it is told %q, and then %v", said, err)
	}
}

func TestARequestOfPlainHTTPIsToldThatItIsOne(t *testing.T) {
	t.Parallel()
	s := listenSecurely(t, transport.Options{Refuse: refusal})
	c, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	accepted, err := s.listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("reading ends with %v", err)
	}
	if err := accepted.Close(); err != nil {
		t.Error(err)
	}
	said, err := bufio.NewReader(c).ReadString('\n')
	if err != nil && !errors.Is(err, syscall.ECONNRESET) || said != transport.ErrNotSecure.Error()+"\n" {
		t.Errorf("it is told %q, and then %v", said, err)
	}
}

// TestARequestThatASecureClientSentWhileItWasHeldIsNoticed: it may have come in the same packet as the one before, so that nothing
// is left in the socket.
func TestARequestThatASecureClientSentWhileItWasHeldIsNoticed(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	close(stopping) // so that nothing pauses
	s := listenSecurely(t, transport.Options{Stopping: stopping})
	near, far := s.pair()
	transport.Idle(near, true)
	for _, test := range []struct {
		sent string
		want bool
	}{{"the first\n", false}, {"the second\n", true}} {
		near.Hold()
		if test.want {
			if _, err := io.WriteString(far, test.sent); err != nil {
				t.Fatal(err)
			}
			await(t, near)
		} else {
			go io.WriteString(far, test.sent)
		}
		transport.Idle(near, true)
		got := make([]byte, 0, 20)
		for !bytes.HasSuffix(got, []byte("\n")) {
			n, err := near.Read(got[len(got):cap(got)])
			if err != nil {
				t.Fatal(err)
			}
			got = got[:len(got)+n]
			if n > 0 && near.Pipelined() != test.want && test.want {
				t.Errorf("%q was sent while the connection was held, and that is not noticed", test.sent)
			}
		}
		if string(got) != test.sent {
			t.Errorf("it reads %q, want %q", got, test.sent)
		}
	}
}

// await waits until a client's bytes have arrived: then reading with a deadline that has passed would still get none.
func await(t *testing.T, near *transport.Conn) {
	t.Helper()
	raw, err := near.Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return n > 0 && err == nil
	})
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}
