package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"lastseen/server/certificate/certificatetest"
)

// counted counts how often the runtime is told of a deadline.
type counted struct {
	net.Conn
	reads, writes int
}

func (c *counted) SetReadDeadline(t time.Time) error {
	c.reads++
	return c.Conn.SetReadDeadline(t)
}

func (c *counted) SetWriteDeadline(t time.Time) error {
	c.writes++
	return c.Conn.SetWriteDeadline(t)
}

// pipe returns a connection of ours and its other end, which the test closes.
func pipe(t *testing.T) (*Conn, *counted, net.Conn) {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	inner := &counted{Conn: near}
	return &Conn{Conn: inner}, inner, far
}

func TestReadsAndWritesEndAtTheDeadlineThatWasSetLast(t *testing.T) {
	for _, deadlines := range [][]time.Duration{
		{time.Second}, {time.Second, time.Minute}, {time.Minute, time.Second}, {time.Second, time.Minute, 10 * time.Second},
		{time.Second, 0, time.Hour}, {time.Hour, 0, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _, _ := pipe(t)
			began := time.Now()
			last := deadlines[len(deadlines)-1]
			for _, d := range deadlines {
				at := began.Add(d)
				if d == 0 {
					at = time.Time{}
				}
				if err := errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != last {
				t.Errorf("%v: the read ended after %v with %v", deadlines, time.Since(began), err)
			}
			if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != last {
				t.Errorf("%v: the write ended after %v with %v", deadlines, time.Since(began), err)
			}
		})
	}
}

func TestAWriteThatOutlivesAnEarlierDeadlineSendsEveryByteOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, far := pipe(t)
		began := time.Now()
		if err := errors.Join(c.SetWriteDeadline(began.Add(time.Second)), c.SetWriteDeadline(began.Add(time.Minute))); err != nil {
			t.Fatal(err)
		}
		got := make(chan string)
		go func() {
			var all []byte
			buffer := make([]byte, 2)
			for len(all) < 6 { // two bytes, a long rest, then the others
				n, err := far.Read(buffer)
				if err != nil {
					break
				}
				all = append(all, buffer[:n]...)
				<-time.After(5 * time.Second)
			}
			got <- string(all)
		}()
		if n, err := c.Write([]byte("abcdef")); n != 6 || err != nil {
			t.Errorf("wrote %d bytes: %v", n, err)
		}
		if all := <-got; all != "abcdef" {
			t.Errorf("the other end got %q", all)
		}
	})
}

func TestDeadlinesThatOnlyMoveOnCostTheRuntimeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, inner, _ := pipe(t)
		for i := range 100 { // as fasthttp does for each request
			now := time.Now().Add(time.Duration(i) * time.Millisecond)
			err := errors.Join(c.SetReadDeadline(now.Add(2*time.Minute)), c.SetReadDeadline(now.Add(10*time.Second)), c.SetWriteDeadline(now.Add(20*time.Second)))
			if err != nil {
				t.Fatal(err)
			}
		}
		if inner.reads != 2 || inner.writes != 1 { // the second is the first time that is earlier
			t.Errorf("the runtime was told %d times of reads and %d times of writes", inner.reads, inner.writes)
		}
	})
}

// TestAWriteOverTLSOutlivesAnEarlierDeadline has a connection of crypto/tls below, which sends nothing after a write that ran out of time.
func TestAWriteOverTLSOutlivesAnEarlierDeadline(t *testing.T) {
	pair := certificatetest.New(t)
	certificate, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		c := Listen(nil, Options{ExactWrites: true}).Wrap(tls.Server(near, &tls.Config{Certificates: []tls.Certificate{certificate}}))
		go func() { _, _ = io.Copy(io.Discard, tls.Client(far, &tls.Config{InsecureSkipVerify: true})) }()
		for range 3 { // as fasthttp does for each answer, over a time that is longer than its limit
			if err := c.SetWriteDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte("answer")); err != nil {
				t.Fatal(err)
			}
			<-time.After(15 * time.Second)
		}
	})
}
