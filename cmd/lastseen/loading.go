package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// loading is how far the start of a service has got. It is safe for concurrent use.
type loading struct {
	why   atomic.Pointer[publicError] // nil for errLoading
	nodes atomic.Pointer[several]     // nil until the node asks the others to take it in
}

// waitsFor says what the start waits for from now on.
func (l *loading) waitsFor(why publicError) { l.why.Store(&why) }

// answer answers the public.
func (l *loading) answer(w http.ResponseWriter, r *http.Request) {
	why := errLoading
	if is := l.why.Load(); is != nil {
		why = *is
	}
	answerLoading(w, r, why)
}

// answerAdmin answers operators, who see the other nodes as soon as this one does.
func (l *loading) answerAdmin(w http.ResponseWriter, r *http.Request) {
	if nodes := l.nodes.Load(); nodes != nil && r.URL.Path == "/nodes" {
		nodes.ServeHTTP(w, r)
		return
	}
	l.answer(w, r)
}

// loadingServer answers while the service loads: /healthz that the process lives, everything else
// that it cannot serve yet.
type loadingServer struct {
	http     *http.Server
	listener *net.TCPListener
	done     chan error
}

// answerWhileLoading starts answering on a listener, which it borrows until stop, with TLS where secure is not nil.
func answerWhileLoading(listener *net.TCPListener, secure *tls.Config, answer http.HandlerFunc) *loadingServer {
	s := &loadingServer{
		http: &http.Server{
			Handler: answer, ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
		},
		listener: listener,
		done:     make(chan error, 1),
	}
	s.http.SetKeepAlivesEnabled(false) // the next request is for the real server
	var accepting net.Listener = borrowed{listener}
	if secure != nil {
		accepting = tls.NewListener(accepting, secure)
		s.http.ErrorLog = log.New(io.Discard, "", 0) // which gets handshakes that fail
	}
	go func() { s.done <- s.http.Serve(accepting) }()
	return s
}

// borrowed is a listener that stays open.
type borrowed struct{ *net.TCPListener }

// Close does nothing.
func (borrowed) Close() error { return nil }

// Accept is closed once stop has set the deadline; http.Server would try again after a timeout.
func (b borrowed) Accept() (net.Conn, error) {
	conn, err := b.TCPListener.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, net.ErrClosed
	}
	return conn, err
}

// stop gives the listener back, open and with nobody accepting. Requests that are being answered are
// cut: their clients were to try again anyhow.
func (s *loadingServer) stop() error {
	err := s.listener.SetDeadline(time.Unix(1, 0)) // wakes Accept
	served := <-s.done
	if errors.Is(served, net.ErrClosed) {
		served = nil
	}
	err = errors.Join(err, served, s.http.Close(), s.listener.SetDeadline(time.Time{}))
	if err != nil {
		return fmt.Errorf("stop answering probes: %w", err)
	}
	return nil
}

func answerLoading(w http.ResponseWriter, r *http.Request, why publicError) {
	if r.URL.Path == "/healthz" {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"status":"ok"}`)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	io.WriteString(w, fmt.Sprintf(`{"type":"about:blank","title":"Service Unavailable","status":503,"detail":%q,"message":%[1]q}`, string(why)))
}

// listen listens on an address.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the address %s is taken: stop what listens on it, or choose another one with --addr", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s (--addr is HOST:PORT): %w", addr, err)
	}
	return listener, nil
}
