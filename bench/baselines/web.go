package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/bench/baseline"
)

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
func bare(constant baseline.Constant) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType(constant.ContentType)
		for i := 0; i+1 < len(constant.Headers); i += 2 {
			ctx.Response.Header.Set(constant.Headers[i], constant.Headers[i+1])
		}
		ctx.SetBody(constant.Body)
	}
}
