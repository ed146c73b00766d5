package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lastseen/server/stream"
)

// answer reads one response from a connection.
func answer(tb testing.TB, c net.Conn) reply {
	tb.Helper()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return reply{response, body}
}

func TestConnectionsPastTheLimitAreToldSo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		limit  func(*setup)
		status int
	}{
		{"in all", func(with *setup) { with.config.MaxConnections = 2 }, 503},
		{"of one address", func(with *setup) { with.config.MaxConnectionsPerAddress = 2 }, 429},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, test.limit)
			var open []net.Conn
			for range 2 {
				c := dial(t, s.address)
				io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
				if r := answer(t, c); r.StatusCode != 200 {
					t.Fatalf("%s", r.Status)
				}
				open = append(open, c)
			}
			refused := answer(t, dial(t, s.address))
			if refused.StatusCode != test.status || refused.Header.Get("Retry-After") == "" {
				t.Fatalf("%s, Retry-After %q", refused.Status, refused.Header.Get("Retry-After"))
			}
			if p := refused.problem(t); p.Status != test.status {
				t.Errorf("%+v", p)
			}
			open[0].Close()
			for { // the server notices by and by; each attempt waits for its answer
				c := dial(t, s.address)
				io.WriteString(c, anyRequest)
				if r := answer(t, c); r.StatusCode == 404 || r.StatusCode == 200 {
					return
				}
			}
		})
	}
}

func TestRequestsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		with.config.MaxHeaderBytes = 4 << 10
		with.config.MaxURIBytes = 1 << 10
	})
	impatient := start(t, func(with *setup) { with.config.HeaderTimeout = 300 * time.Millisecond })
	for _, test := range []struct {
		name, request string
		status        int
	}{
		{"no HTTP", "hello\r\n\r\n", 400},
		{"headers without end", "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 5<<10), 431},
		{"headers too large", "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 5<<10) + "\r\n\r\n", 431},
		{"headers that take for ever", "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", 408},
		{"a URL too long", "GET /healthz?x=" + strings.Repeat("a", 2<<10) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 414},
		{"a body that stops half way", "POST " + pathRegister + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", 408},
		{"a body of impossible length", "POST " + pathRegister + " HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{", 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := s
			if test.status == 408 {
				to = impatient
			}
			c := dial(t, to.address)
			if _, err := io.WriteString(c, test.request); err != nil {
				t.Fatal(err)
			}
			r := answer(t, c)
			if r.StatusCode != test.status {
				t.Fatalf("%s, want %d: %s", r.Status, test.status, r.body)
			}
			r.problem(t)
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && test.status != 414 {
				t.Errorf("the connection is still there: %v", err)
			}
		})
	}
	s.get("/healthz", "", 200)
}

func TestAConnectionThatSaysNothingIsClosed(t *testing.T) {
	t.Parallel()
	silent := start(t, func(with *setup) { with.config.HeaderTimeout = 200 * time.Millisecond })
	io.ReadAll(dial(t, silent.address)) // returns when the server closes
	s := start(t, func(with *setup) { with.config.IdleTimeout = 200 * time.Millisecond })
	c := dial(t, s.address)
	io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if r := answer(t, c); r.StatusCode != 200 {
		t.Fatal(r.Status)
	}
	if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
		t.Errorf("an idle connection ended with %q, %v", rest, err)
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	s := start(t)
	one := "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: r%d\r\n\r\n"
	c := dial(t, s.address)
	io.WriteString(c, fmt.Sprintf(one+one+one, 1, 2, 3))
	r := bufio.NewReader(c)
	for i := range 3 {
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		if got, want := response.Header.Get("X-Request-Id"), fmt.Sprintf("r%d", i+1); got != want {
			t.Errorf("answer %d is that of %s", i, got)
		}
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	t.Run("lets a request finish and refuses new connections", func(t *testing.T) {
		plainOnly(t, "the tunnel goes on listening")
		entered, finish := make(chan struct{}), make(chan struct{})
		s := start(t, func(with *setup) {
			with.handle = func(c *call) error { close(entered); <-finish; c.reply(200, []byte(`"done"`)); return nil }
		})
		answers := make(chan string, 1)
		c := dial(t, s.address)
		go func() {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			text, _ := io.ReadAll(c)
			answers <- string(text)
		}()
		<-entered
		stopped := make(chan error, 1)
		go func() { stopped <- s.Shutdown(context.Background()) }()
		for { // until the listener is closed
			c, err := net.Dial("tcp", s.address)
			if err != nil {
				break
			}
			c.Close()
		}
		close(finish)
		if answer := <-answers; !strings.HasSuffix(answer, `"done"`) {
			t.Errorf("got %q", answer)
		}
		if err := <-stopped; err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if c, err := net.Dial("tcp", s.address); err == nil {
			c.Close()
			t.Error("a connection was accepted after the shutdown")
		}
	})
	t.Run("ends what does not finish in time", func(t *testing.T) {
		entered, ended := make(chan struct{}), make(chan error, 1)
		s := start(t, func(with *setup) {
			with.handle = func(c *call) error {
				close(entered)
				<-c.context().Done()
				ended <- c.context().Err()
				return c.context().Err()
			}
		})
		io.WriteString(dial(t, s.address), anyRequest)
		<-entered
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the work ended with %v", err)
		}
		if n := s.listener.Stats().InUse; n != 0 {
			t.Errorf("%d connections are open", n)
		}
	})
	t.Run("cuts a client that does not read", func(t *testing.T) {
		work, stop := context.WithCancel(context.Background())
		defer stop()
		from := &endless{work: work, ended: make(chan error, 1)}
		s := start(t, serving(func() stream.Source { return from }))
		c := dial(t, s.address)
		io.WriteString(c, anyRequest)
		if _, err := io.ReadFull(c, make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-from.ended; err != nil {
			t.Errorf("the source ended with %v", err)
		}
	})
	t.Run("turns readiness off first", func(t *testing.T) {
		s := start(t)
		s.get("/readyz", "", 200)
		s.Drain()
		if r := s.get("/readyz", "", 503); r.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		s.get("/healthz", "", 200)
	})
	t.Run("before and instead of serving", func(t *testing.T) {
		s := New(Config{}, Services{})
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(l); err == nil {
			t.Error("it serves after a shutdown")
		}
	})
}

func TestReadinessSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := start(t, func(with *setup) {
		with.services.Ready = func(context.Context) error { return errors.New("the table of newest points is being loaded") }
	})
	if p := s.get("/readyz", "", 503).problem(t); !strings.Contains(p.Detail, "being loaded") {
		t.Errorf("it says %q", p.Detail)
	}
}
