package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"lastseen/server/certificate/certificatetest"
	"lastseen/server/transport"
)

// overTLS reports whether all tests of the package run over TLS (make test-tls): their clients speak to a tunnel that does.
func overTLS() bool { return os.Getenv("LASTSEEN_TEST_TLS") != "" }

// plainOnly skips a test over TLS, and says why.
func plainOnly(t *testing.T, why string) {
	t.Helper()
	if overTLS() {
		t.Skip("not over TLS:", why)
	}
}

// secureConfig returns a configuration of TLS for a server, and the one that its clients need.
func secureConfig(tb testing.TB) (server, client *tls.Config) {
	tb.Helper()
	pair := certificatetest.New(tb)
	certificate, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}, pair.Client(tb)
}

// tunnel passes connections on with TLS. It returns the address for clients that speak none.
func tunnel(tb testing.TB, to string, client *tls.Config) (address string) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			passing.Go(func() { pass(near.(*net.TCPConn), to, client) })
		}
	})
	tb.Cleanup(func() {
		listener.Close()
		passing.Wait()
	})
	return listener.Addr().String()
}

// pass copies both ways. That one side has closed is said to the other. What the client still sends to a server that has closed is
// taken for a second, so that it gets to read the answer.
func pass(near *net.TCPConn, to string, client *tls.Config) {
	defer near.Close()
	far, err := tls.Dial("tcp", to, client)
	if err != nil {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(near, far)
		_ = near.CloseWrite()
		_ = near.SetReadDeadline(time.Now().Add(time.Second))
	})
	if _, err := io.Copy(far, near); err != nil {
		_, _ = io.Copy(io.Discard, near)
	}
	_ = far.CloseWrite()
	_ = far.NetConn().(*net.TCPConn).CloseWrite()
	answers.Wait()
	far.Close()
}

// secured makes a test's server speak TLS.
func secured(with *setup) { with.tls = true }

// TestPollsOverTLSGoTheDirectWay: with the answers that they have without TLS.
func TestPollsOverTLSGoTheDirectWay(t *testing.T) {
	t.Parallel()
	s := start(t, secured)
	for _, p := range polls(s) {
		c, err := tls.Dial("tcp", s.secure, s.trusts)
		if err != nil {
			t.Fatal(err)
		}
		answers := bufio.NewReader(c)
		for range 3 { // the first one goes the general way, which knows whom the next ones are from
			if _, err := io.WriteString(c, p.request); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != p.status {
				t.Errorf("%s: %d %s (%v), want %d", p.name, response.StatusCode, body, err, p.status)
			}
			if response.Close {
				break
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	// The direct way logs nothing. Of three kinds the answer is 200, and there is one such poll more, by which polls learns a tag.
	if logged := strings.Count(s.log.String(), `"path":"`+pathLastSeen+`","status":200`); logged != 3+1 {
		t.Errorf("%d polls with 200 went the general way, want the first of each connection", logged)
	}
}

// TestCookiesAreForTLSOnlyWhereTheServiceSpeaksIt, though nobody has said under which address it is reached.
func TestCookiesAreForTLSOnlyWhereTheServiceSpeaksIt(t *testing.T) {
	t.Parallel()
	s := start(t, secured)
	r := s.browser().send("POST", pathLink, `{"token":"`+s.link(owner)+`"}`)
	cookie := r.Header.Get("Set-Cookie")
	if r.StatusCode != 200 || !strings.HasPrefix(cookie, "__Host-lastseen_session=") || !strings.Contains(strings.ToLower(cookie), "; secure") {
		t.Errorf("%s: the cookie is %.40q …", r.Status, cookie)
	}
}

func TestWhatWaitsAndStreamsWorksOverTLS(t *testing.T) {
	t.Parallel()
	s := start(t, secured)
	session, key, target, tag := s.polled("00:00:00:00:0f:31")
	events := s.events(pathLastSeenChanges, key)
	poll := s.longPoll(target, key, tag)
	s.ingest("org_a", point(session, 2))
	s.answers(poll, 200, session)
	for got, ok := events.next(); ; got, ok = events.next() {
		if !ok {
			t.Fatal("the events end without the point")
		}
		if strings.Contains(got.data, session) {
			break
		}
	}
	history := s.get(s.long(100_000), key, 200)
	if n := len(historyPoints(t, history)); n != 100_000 {
		t.Errorf("the history has %d points", n)
	}
}

// TestPlainHTTPIsToldOfHTTPS by an answer that the usual clients show.
func TestPlainHTTPIsToldOfHTTPS(t *testing.T) {
	t.Parallel()
	s := start(t, secured)
	response, err := http.Get("http://" + s.secure + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 400 || !bytes.Contains(body, []byte("begin the address with https://")) {
		t.Errorf("%s: %s, %v", response.Status, body, err)
	}
}

// BenchmarkPollOverTLS measures a poll over a connection of this machine, client included, without and with TLS.
func BenchmarkPollOverTLS(b *testing.B) {
	s := start(b, func(with *setup) { with.config.AccessLog = LogUsual })
	server, trusts := secureConfig(b)
	request := []byte(polls(s)[0].request)
	for _, test := range []struct {
		name   string
		secure *tls.Config
	}{{"plain", nil}, {"TLS", server}} {
		b.Run(test.name, func(b *testing.B) {
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer inner.Close()
			listener := transport.Listen(inner, transport.Options{MaxConnections: 10, Direct: s.direct.way(), Stopping: s.stopping, TLS: test.secure})
			var serving sync.WaitGroup
			serving.Go(func() {
				if c, err := listener.Accept(); err == nil {
					_ = s.Server.http.ServeConn(c)
				}
			})
			defer serving.Wait()
			c, err := net.Dial("tcp", inner.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			if test.secure != nil {
				c = tls.Client(c, trusts)
			}
			defer c.Close()
			answer := make([]byte, 4<<10)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Read(answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
