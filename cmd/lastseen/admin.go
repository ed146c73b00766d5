package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"lastseen/server/metrics"
)

// defaultAdminAddr is where the metrics are when nobody says otherwise.
const defaultAdminAddr = "127.0.0.1:9464"

// adminFlags say where operators find the metrics and profiles.
type adminFlags struct {
	// Nil is the default address, which a second service on the machine may find taken.
	AdminAddr *string `placeholder:"HOST:PORT" help:"Where to serve /metrics, /debug/pprof/ and, of several nodes, /nodes, which must not be reachable by the public; empty for nowhere (default 127.0.0.1:9464, and nowhere when that is taken)."`
}

func (f *adminFlags) adminConfig() adminConfig {
	if f.AdminAddr == nil {
		return adminConfig{addr: defaultAdminAddr, optional: true}
	}
	return adminConfig{addr: *f.AdminAddr}
}

// adminConfig says where the metrics are served.
type adminConfig struct {
	addr     string // empty for nowhere
	optional bool   // do without when the address is taken
}

// listenAdmin takes the address of the metrics, so that a wrong one is known before the long part of
// the start. It returns nil when there is to be none.
func (a *App) listenAdmin(ctx context.Context) (net.Listener, error) {
	config := a.config.admin
	if config.addr == "" {
		return nil, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", config.addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && config.optional:
		a.config.log.Warn("no metrics: their address is taken; choose another one with --admin-addr, or an empty one to do without", "address", config.addr)
		return nil, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s of the metrics is taken: stop what listens on it, or choose another one with --admin-addr (an empty one does without metrics)", config.addr)
	case err != nil:
		return nil, fmt.Errorf("listen on %s for the metrics (--admin-addr is HOST:PORT): %w", config.addr, err)
	}
	a.admin = listener
	a.onStop("listening for the metrics", func(context.Context) error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) { // serving closes it too
			return err
		}
		return nil
	})
	return listener, nil
}

// serveAdmin serves the metrics and profiles on a listener, which may be nil.
func (a *App) serveAdmin(listener net.Listener, sources metrics.Sources) {
	if listener == nil {
		return
	}
	handler := http.NewServeMux()
	handler.Handle("/", metrics.Handler(metrics.NewRegistry(sources)))
	if a.nodes != nil {
		handler.Handle("GET /nodes", a.nodes)
	}
	// A profile may take as long as its caller asks for, so that there is no write timeout.
	admin := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	done := make(chan error, 1)
	go func() { done <- admin.Serve(listener) }()
	a.onStop("the metrics", func(context.Context) error {
		err := admin.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
	a.config.log.Info("metrics", "address", listener.Addr().String())
}

// AdminAddr is the address that serves the metrics, empty when none does.
func (a *App) AdminAddr() string {
	if a.admin == nil {
		return ""
	}
	return a.admin.Addr().String()
}
