// Package rival holds what lastseen is measured against, each served by a process of its own: the
// bare HTTP server that marks the ceiling, the service that one would write in an afternoon, and
// PostgreSQL behind the same HTTP library. All answer the same requests with the same JSON.
package rival

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/bench/dataset"
)

// The names of the rivals.
const (
	Bare     = "bare"     // a constant answer
	Naive    = "naive"    // ClickHouse asked for every request
	Postgres = "postgres" // PostgreSQL with an index, through pgx
	Loader   = "load"     // no rival: it loads a data directory for lastseen and ends
)

// Config says what a rival's process does. It crosses from process to process as JSON.
type Config struct {
	// Name is one of the rivals' names.
	Name string
	// Address is host:port to listen on.
	Address string
	// Dataset is what the rival loads before it listens.
	Dataset dataset.Spec
	// DataDir is where the embedded engine keeps its data, for Naive and Loader.
	DataDir string
	// PostgresURL is where PostgreSQL listens, for Postgres.
	PostgresURL string
	// Keys are the keys of each organisation that Naive checks.
	Keys [][]string
	// Constant is what Bare answers.
	Constant Constant
}

// Constant is an answer copied from lastseen, so that the ceiling carries the same bytes.
type Constant struct {
	ContentType string
	// Headers are the other header fields, name and value in turn.
	Headers []string
	Body    []byte
}

// Serve loads and serves a rival until ctx ends.
func Serve(ctx context.Context, config Config) error {
	switch config.Name {
	case Loader:
		return dataset.Load(ctx, config.DataDir, config.Dataset)
	case Bare:
		return listen(ctx, config.Address, bare(config.Constant))
	case Naive:
		n, err := newNaive(ctx, config)
		if err != nil {
			return err
		}
		return errors.Join(listen(ctx, config.Address, n.handle), n.close())
	case Postgres:
		p, err := newPostgres(ctx, config)
		if err != nil {
			return err
		}
		defer p.pool.Close()
		return listen(ctx, config.Address, p.handle)
	}
	return fmt.Errorf("there is no contender %q", config.Name)
}

// listen serves HTTP with the settings that lastseen's own server uses where they cost anything.
func listen(ctx context.Context, address string, handler fasthttp.RequestHandler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	server := &fasthttp.Server{Handler: handler, NoDefaultServerHeader: true, Concurrency: 1 << 20, StreamRequestBody: true}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- server.ShutdownWithContext(grace)
	}()
	if err := server.Serve(listener); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return <-stopped
}

// bare answers every request with a constant.
func bare(constant Constant) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType(constant.ContentType)
		for i := 0; i+1 < len(constant.Headers); i += 2 {
			ctx.Response.Header.Set(constant.Headers[i], constant.Headers[i+1])
		}
		ctx.SetBody(constant.Body)
	}
}
