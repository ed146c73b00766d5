package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/server/stream"
)

// script is a source of some pieces that then ends with an error or without.
type script struct {
	pieces []string
	err    error
	hold   func()        // called before the last piece
	closed chan struct{} // closed by Close

	suspended    chan struct{} // closed by Suspend
	suspendFails error
	ends         time.Time
}

func newScript(err error, pieces ...string) *script {
	return &script{pieces: pieces, err: err, hold: func() {}, closed: make(chan struct{}), suspended: make(chan struct{})}
}

func (s *script) Next() ([]byte, error) {
	switch len(s.pieces) {
	case 0:
		if s.err != nil {
			return nil, s.err
		}
		return nil, io.EOF
	case 1:
		s.hold()
	}
	piece := s.pieces[0]
	s.pieces = s.pieces[1:]
	return []byte(piece), nil
}

func (s *script) ContentType() string { return "application/json" }

func (s *script) Close() error {
	closeOnce(s.closed)
	return nil
}

func (s *script) Suspend() (bool, error) {
	closeOnce(s.suspended)
	return true, s.suspendFails
}

func (s *script) Ends() time.Time { return s.ends }

func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// serving makes the server answer every request with a source.
func serving(source func() stream.Source) func(*setup) {
	return func(with *setup) {
		with.handle = func(c *call) error { return c.stream(source(), stream.Identity) }
	}
}

// raw sends a request over a connection of its own and returns what comes back until the end.
func raw(tb testing.TB, address, request string) string {
	tb.Helper()
	c := dial(tb, address)
	if _, err := io.WriteString(c, request); err != nil {
		tb.Fatal(err)
	}
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func dial(tb testing.TB, address string) net.Conn {
	tb.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return c
}

const anyRequest = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

func TestStreamedAnswers(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is on fire")
	t.Run("one piece has a length", func(t *testing.T) {
		s := start(t, serving(func() stream.Source { return newScript(nil, `{"a":1}`) }))
		r := s.get("/", "", 200)
		if string(r.body) != `{"a":1}` || r.ContentLength != 7 {
			t.Errorf("%d %s", r.ContentLength, r.body)
		}
	})
	t.Run("many pieces arrive in order and end well", func(t *testing.T) {
		s := start(t, serving(func() stream.Source { return newScript(nil, "a", "b", "", "c", "d") }))
		r := s.get("/", "", 200)
		if string(r.body) != "abcd" || r.ContentLength != -1 {
			t.Errorf("%d %s", r.ContentLength, r.body)
		}
		s.get("/", "", 200) // on the same connection
	})
	t.Run("a failure before the first byte is a proper error", func(t *testing.T) {
		for _, pieces := range [][]string{nil, {`{"a":`}} {
			s := start(t, serving(func() stream.Source { return newScript(broken, pieces...) }))
			p := s.get("/", "", 500).problem(t)
			if strings.Contains(p.Detail, "fire") || !strings.Contains(s.log.String(), "fire") {
				t.Errorf("the cause is not in the log alone: %s", p.Detail)
			}
		}
	})
	t.Run("a failure after the first byte cuts the connection", func(t *testing.T) {
		s := start(t, serving(func() stream.Source { return newScript(broken, `{"a":`, `1}`) }))
		answer := raw(t, s.address, anyRequest)
		if !strings.HasPrefix(answer, "HTTP/1.1 200") || !strings.Contains(answer, `1}`) {
			t.Fatalf("got %q", answer)
		}
		if strings.HasSuffix(answer, "0\r\n\r\n") {
			t.Errorf("the answer ends as if it were whole: %q", answer)
		}
		if _, err := s.try("GET", "/", "", nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a client sees %v, want an unexpected end", err)
		}
		if log := s.log.String(); !strings.Contains(log, `"cut":true`) || !strings.Contains(log, "fire") {
			t.Errorf("the log does not say why: %s", log)
		}
	})
	t.Run("the first piece leaves before the last is made", func(t *testing.T) {
		arrived := make(chan struct{})
		from := newScript(nil, "first", "second", "last")
		from.hold = func() { <-arrived }
		s := start(t, serving(func() stream.Source { return from }))
		c := dial(t, s.address)
		io.WriteString(c, anyRequest)
		r := bufio.NewReader(c)
		for line := ""; !strings.Contains(line, "first"); {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		close(arrived)
		if rest, _ := io.ReadAll(r); !strings.HasSuffix(string(rest), "last\r\n0\r\n\r\n") {
			t.Errorf("the rest is %q", rest)
		}
	})
	t.Run("HEAD gets the headers and frees the source", func(t *testing.T) {
		from := newScript(nil, "a", "b", "c")
		s := start(t, serving(func() stream.Source { return from }))
		if r := s.do("HEAD", "/", "", nil); r.StatusCode != 200 || len(r.body) != 0 {
			t.Errorf("%s with %d bytes", r.Status, len(r.body))
		}
		<-from.closed
	})
	t.Run("a client of HTTP/1.0, which knows no chunks, gets a short answer only", func(t *testing.T) {
		for want, pieces := range map[string][]string{"HTTP/1.1 200": {"abc"}, "HTTP/1.1 505": {"a", "b", "c"}} {
			s := start(t, serving(func() stream.Source { return newScript(nil, pieces...) }))
			if answer := raw(t, s.address, "GET / HTTP/1.0\r\n\r\n"); !strings.HasPrefix(answer, want) || strings.Contains(answer, "chunked") {
				t.Errorf("got %q, want %s", answer, want)
			}
		}
	})
}

// endless is a source that goes on until its context ends or nobody asks any more.
type endless struct {
	work   context.Context
	ended  chan error // gets nil when nobody asks any more
	pieces int
	ends   time.Time
	failed bool
}

func (e *endless) Next() ([]byte, error) {
	if err := e.work.Err(); err != nil {
		e.failed = true
		e.ended <- err
		return nil, err
	}
	e.pieces++
	return bytes.Repeat([]byte("x"), 64<<10), nil
}

func (e *endless) Close() error {
	if !e.failed {
		e.failed = true
		e.ended <- nil
	}
	return nil
}

func (e *endless) Suspend() (bool, error) { return false, nil }

func (e *endless) Ends() time.Time { return e.ends }

func (e *endless) ContentType() string { return "application/json" }

func TestAClientThatStopsReadingFreesTheSource(t *testing.T) {
	t.Parallel()
	for _, leave := range []bool{true, false} {
		t.Run(fmt.Sprintf("goes away %v", leave), func(t *testing.T) {
			from := &endless{work: context.Background(), ended: make(chan error, 1)}
			s := start(t, serving(func() stream.Source { return from }), func(with *setup) { with.config.WriteTimeout = 300 * time.Millisecond })
			c := dial(t, s.address)
			io.WriteString(c, anyRequest)
			if _, err := io.ReadFull(c, make([]byte, 100<<10)); err != nil {
				t.Fatal(err)
			}
			if leave {
				c.Close()
			}
			if err := <-from.ended; err != nil {
				t.Errorf("the source ended with %v", err)
			}
		})
	}
}

// TestAnAnswerEndsInTime: no client, however patient we are with it, may make an answer last longer.
func TestAnAnswerEndsInTime(t *testing.T) {
	t.Parallel()
	from := &endless{work: context.Background(), ended: make(chan error, 1), ends: time.Now().Add(time.Second)}
	s := start(t, serving(func() stream.Source { return from }), func(with *setup) { with.config.WriteTimeout = time.Hour })
	c := dial(t, s.address)
	if _, err := io.WriteString(c, anyRequest); err != nil {
		t.Fatal(err)
	}
	if err := <-from.ended; err != nil || time.Now().Before(from.ends) {
		t.Errorf("the source ended with %v, %v before its time", err, time.Until(from.ends))
	}
}

// slowly reads some bytes fast, which makes the buffers of the other end grow, then for a while by little and little,
// and then the rest.
func slowly(c io.Reader, fast int, while time.Duration) ([]byte, error) {
	all := make([]byte, fast)
	if n, err := io.ReadFull(c, all); err != nil {
		return all[:n], err
	}
	piece := make([]byte, 16<<10)
	for began := time.Now(); time.Since(began) < while; time.Sleep(50 * time.Millisecond) {
		n, err := c.Read(piece)
		if all = append(all, piece[:n]...); err != nil {
			return all, err
		}
	}
	rest, err := io.ReadAll(c)
	return append(all, rest...), err
}

// longScript is more than sockets buffer.
func longScript() *script {
	return newScript(nil, slices.Repeat([]string{strings.Repeat("x", 60<<10)}, 256)...)
}

// checkLong looks at the answer that longScript is.
func checkLong(t *testing.T, answer []byte, err error) {
	t.Helper()
	if got := bytes.Count(answer, []byte("x")); err != nil || got < 256*60<<10 || !bytes.HasSuffix(answer, []byte("0\r\n\r\n")) {
		t.Errorf("%d bytes came, want %d and the end (%v)", got, 256*60<<10, err)
	}
}

func TestAClientThatReadsSlowlyGetsAll(t *testing.T) {
	t.Parallel()
	s := start(t, serving(func() stream.Source { return longScript() }), func(with *setup) { with.config.WriteTimeout = 2 * time.Second })
	c := dial(t, s.address)
	// The kernel tells the other end that a client has read only when a sixteenth of the client's buffer is free again,
	// and lets it grow to megabytes unless its size is set.
	if err := c.(*net.TCPConn).SetReadBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, anyRequest); err != nil {
		t.Fatal(err)
	}
	answer, err := slowly(c, 8<<20, 6*time.Second)
	checkLong(t, answer, err)
}

func TestAClientThatPausesSuspendsTheSource(t *testing.T) {
	t.Parallel()
	from := longScript()
	s := start(t, serving(func() stream.Source { return from }))
	c := dial(t, s.address)
	if _, err := io.WriteString(c, anyRequest); err != nil {
		t.Fatal(err)
	}
	select {
	case <-from.suspended:
	case <-from.closed:
		t.Fatal("the source was given up and not suspended")
	}
	answer, err := io.ReadAll(c)
	checkLong(t, answer, err)
}

func TestAFailureToSuspendCutsTheConnection(t *testing.T) {
	t.Parallel()
	from := longScript()
	from.suspendFails = errors.New("the disk is on fire")
	s := start(t, serving(func() stream.Source { return from }))
	c := dial(t, s.address)
	if _, err := io.WriteString(c, anyRequest); err != nil {
		t.Fatal(err)
	}
	<-from.closed
	if answer, err := io.ReadAll(c); bytes.HasSuffix(answer, []byte("0\r\n\r\n")) || !strings.Contains(s.log.String(), "fire") {
		t.Errorf("the answer ends well (%v), or the log does not say why", err)
	}
}

func TestAPanicAfterTheFirstByteCutsTheConnection(t *testing.T) {
	t.Parallel()
	from := newScript(nil, "first", "second", "last")
	from.hold = func() { panic("the secret sauce") }
	s := start(t, serving(func() stream.Source { return from }))
	if answer := raw(t, s.address, anyRequest); !strings.Contains(answer, "second") || strings.HasSuffix(answer, "0\r\n\r\n") {
		t.Errorf("got %q", answer)
	}
	<-from.closed
	if !strings.Contains(s.log.String(), "sauce") || !strings.Contains(s.log.String(), "stream_test.go") {
		t.Error("the log has no stack")
	}
}

func TestAPanicIsAFaultOfOurs(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		with.handle = func(*call) error { panic("the secret sauce") }
	})
	if p := s.get("/", "", fasthttp.StatusInternalServerError).problem(t); strings.Contains(p.Detail, "sauce") {
		t.Errorf("the answer says %q", p.Detail)
	}
	if !strings.Contains(s.log.String(), "sauce") || !strings.Contains(s.log.String(), "stream_test.go") {
		t.Error("the log has no stack")
	}
	s.get("/", "", 500) // the server lives
}
