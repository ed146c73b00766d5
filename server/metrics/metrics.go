// Package metrics collects what the service counts of itself and shows it to Prometheus, with the Go
// profiles beside it. It reads the counts when Prometheus asks for them; nothing in a request's way
// knows of it.
package metrics

import (
	"net/http"
	"net/http/pprof"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lastseen/ingest"
	"lastseen/keys/apikey"
	"lastseen/query/latest"
	"lastseen/schema"
	"lastseen/server"
)

// Server tells what the HTTP server has done. *server.Server is one.
type Server interface{ Stats() server.Stats }

// Authenticator tells how credentials were checked. *apikey.Authenticator is one.
type Authenticator interface {
	Stats() apikey.AuthenticatorStats
}

// Keys tells how keys were changed. *apikey.Service is one.
type Keys interface{ Stats() apikey.ServiceStats }

// Writer tells what was written. *ingest.Writer is one.
type Writer interface{ Stats() ingest.WriterStats }

// LastSeen tells what was looked up. *latest.Table is one.
type LastSeen interface{ Stats() latest.Stats }

// Statements tells what was asked of ClickHouse. *schema.DB is one.
type Statements interface {
	Stats() []schema.StatementStats
}

// StoreStats says how the store is.
type StoreStats struct {
	Up      bool // nothing is known that keeps it from serving
	Writes  bool // this process may write to it
	SetBack bool // it was set back to an earlier state, and this process answers nothing since
	// Condition is what the last look found out; nil where there was none.
	Condition *schema.Condition
}

// Store tells how the store is.
type Store interface{ Stats() StoreStats }

// Sources are what the metrics are read from. All but Nodes are required, and all are safe for concurrent use.
type Sources struct {
	Server        Server
	Authenticator Authenticator
	Keys          Keys
	Writer        Writer
	LastSeen      LastSeen
	Statements    Statements
	Store         Store
	// Nodes is nil for a node that is alone.
	Nodes Nodes
	// Version is the program's.
	Version string
}

// NewRegistry returns a registry with the metrics of a service, of the Go runtime and of the process.
func NewRegistry(sources Sources) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		&collector{sources},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	if sources.Nodes != nil {
		registry.MustRegister(&nodesCollector{sources.Nodes})
	}
	return registry
}

// Handler serves the metrics at /metrics and the Go profiles below /debug/pprof/. It is for operators:
// it must not be reachable by the public.
func Handler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte(`<!doctype html><title>lastseen</title><p><a href="/metrics">metrics</a>, <a href="/debug/pprof/">profiles</a></p>`))
	})
	return mux
}

// goVersion is what the program was built with.
func goVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.GoVersion
	}
	return "unknown"
}
