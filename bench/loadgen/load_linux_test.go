package loadgen

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echoes asks a server to say a number back.
type echoes struct {
	left *atomic.Int64
	body int // extra bytes of body to send, and to have back
}

func (e *echoes) Prepare(x *Exchange) bool {
	n := e.left.Add(-1)
	x.Expect = int(n)
	x.Request = fmt.Appendf(x.Request[:0], "POST /%d HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", n, e.body)
	x.Request = append(x.Request, bytes.Repeat([]byte{'x'}, e.body)...)
	return n >= 0
}

func (e *echoes) Check(x *Exchange, a *Answer) (Outcome, error) {
	if want := fmt.Sprintf("/%d", x.Expect); a.Status != 200 || !strings.HasPrefix(string(a.Body), want) || len(a.Body) != len(want)+e.body {
		return 0, fmt.Errorf("asked for %s, got status %d and %d bytes: %.50q", want, a.Status, len(a.Body), a.Body)
	}
	return Served, nil
}

func echo(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, r.URL.Path)
	io.Copy(w, r.Body)
}

// runEchoes sends n requests in a closed loop, or in an open one at a rate that the machine can easily bear.
func runEchoes(t *testing.T, target Target, n, body int, rate float64, adjust func(*Load)) (*Measurement, error) {
	t.Helper()
	left := new(atomic.Int64)
	left.Store(int64(n))
	target.Codec = HTTP{}
	load := Load{
		Target: target, Connections: 5, Workers: 2, Rate: rate, Duration: time.Minute,
		Source: func(int) Source { return &echoes{left, body} },
	}
	if adjust != nil {
		adjust(&load)
	}
	return load.Run(context.Background())
}

func TestEveryRequestGetsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(echo))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(echo))
	defer secure.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	forgetful := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		echo(w, r)
	}))
	defer forgetful.Close()
	targets := map[string]Target{
		"over TCP": {Address: plain.Listener.Addr().String()},
		"over TLS": {Address: secure.Listener.Addr().String(), TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}},
		"from a server that closes its connections": {Address: forgetful.Listener.Addr().String()},
		"from several addresses":                    {Address: plain.Listener.Addr().String(), SourceAddresses: []string{"127.0.0.2", "127.0.0.3"}},
	}
	for name, target := range targets {
		for _, rate := range []float64{0, 2000} {
			for _, body := range []int{0, 3 << 20} { // the larger one fits no socket buffer
				n := 300
				if body > 0 && rate > 0 {
					continue // once is enough
				}
				if body > 0 {
					n = 6
				}
				t.Run(fmt.Sprintf("%s at rate %v with %d bytes", name, rate, body), func(t *testing.T) {
					m, err := runEchoes(t, target, n, body, rate, nil)
					if err != nil {
						t.Fatal(err)
					}
					if m.Served != int64(n) || m.Failed != 0 || m.Latency.TotalCount() != int64(n) {
						t.Errorf("served %d, failed %d (%v), recorded %d, want %d", m.Served, m.Failed, m.FirstFailure, m.Latency.TotalCount(), n)
					}
				})
			}
		}
	}
}

func TestAWrongAnswerFailsTheRunWithTheExample(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/50" {
			r.URL.Path = "/51"
		}
		echo(w, r)
	}))
	defer server.Close()
	_, err := runEchoes(t, Target{Address: server.Listener.Addr().String()}, 100, 0, 0, nil)
	if !errors.Is(err, ErrWrongAnswer) || !strings.Contains(err.Error(), `asked for /50, got status 200 and 3 bytes: "/51"`) {
		t.Errorf("the run ended with: %v", err)
	}
}

func TestAServerThatHangsUp(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/50" {
			panic(http.ErrAbortHandler)
		}
		echo(w, r)
	}))
	defer server.Close()
	target := Target{Address: server.Listener.Addr().String()}
	if _, err := runEchoes(t, target, 100, 0, 0, nil); err == nil || errors.Is(err, ErrWrongAnswer) {
		t.Errorf("the run ended with: %v", err)
	}
	m, err := runEchoes(t, target, 100, 0, 0, func(l *Load) { l.Tolerant = true })
	if err != nil {
		t.Fatal(err)
	}
	if m.Served != 99 || m.Failed != 1 || m.FirstFailure == nil {
		t.Errorf("served %d, failed %d: %v", m.Served, m.Failed, m.FirstFailure)
	}
}

func TestAServerThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(echo))
	address := server.Listener.Addr().String()
	server.Close()
	if _, err := runEchoes(t, Target{Address: address}, 1, 0, 0, nil); err == nil {
		t.Error("the run ended well")
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	left := new(atomic.Int64)
	left.Store(1 << 40)
	load := Load{
		Target: Target{Address: server.Listener.Addr().String(), Codec: HTTP{}}, Connections: 2, Duration: time.Hour,
		Source: func(int) Source { return cancelAfter{&echoes{left: left}, left, cancel} },
	}
	if _, err := load.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the run ended with %v", err)
	}
}

// cancelAfter ends the run's context in the middle of it.
type cancelAfter struct {
	Source
	left   *atomic.Int64
	cancel func()
}

func (c cancelAfter) Prepare(x *Exchange) bool {
	if c.left.Load() < 1<<40-100 {
		c.cancel()
	}
	return c.Source.Prepare(x)
}

// policies notes by which policy its worker's thread is scheduled.
type policies struct {
	Source
	seen *atomic.Uint32
}

func (p policies) Prepare(x *Exchange) bool {
	if own, err := unix.SchedGetAttr(0, 0); err == nil {
		p.seen.Store(own.Policy + 1)
	}
	return p.Source.Prepare(x)
}

func TestAWorkerThatYieldsIsIdleToTheSchedulerAndLeavesNobodyElseSo(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	for yields, want := range map[bool]uint32{true: unix.SCHED_IDLE, false: unix.SCHED_NORMAL} {
		var seen atomic.Uint32
		m, err := runEchoes(t, Target{Address: server.Listener.Addr().String()}, 20, 0, 0, func(l *Load) {
			l.Yields = yields
			source := l.Source
			l.Source = func(worker int) Source { return policies{source(worker), &seen} }
		})
		if err != nil || m.Served != 20 {
			t.Fatalf("a load that yields (%v) was served %v, %v", yields, m, err)
		}
		if got := seen.Load() - 1; got != want {
			t.Errorf("a worker that yields (%v) has the policy %d, want %d", yields, got, want)
		}
	}
}
