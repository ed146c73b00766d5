package server

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// requestSpan is the span of a request; its zero value is that of one that is not traced. Nothing that the request brought is in a
// span but its request id: no path, no parameter, no credential.
type requestSpan struct{ span trace.Span }

// beginSpan begins the span of a request, unless it is one of those that come so often that they are not traced: polls, probes
// and the files of pages.
func beginSpan(s *Server, r *route, id *requestID, began time.Time) requestSpan {
	if s.config.Tracer == nil || r.quiet {
		return requestSpan{}
	}
	method, path := r.method, r.path
	if method == "" {
		method = "_OTHER"
	}
	if path == "" {
		path = s.counts.nowhere.route
	}
	_, span := s.config.Tracer.Start(s.work, method+" "+path, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(began))
	if !span.IsRecording() {
		return requestSpan{}
	}
	span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", path), attribute.String("lastseen.request_id", string(id.bytes())))
	return requestSpan{span}
}

// within returns a context in which what the request does is part of its span.
func (s requestSpan) within(ctx context.Context) context.Context {
	if s.span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.span)
}

// note adds a moment of the request's way.
func (s requestSpan) note(what string) {
	if s.span != nil {
		s.span.AddEvent(what)
	}
}

// end ends the span with what became of the request.
func (s requestSpan) end(c *call) {
	if s.span == nil {
		return
	}
	status := c.entry.status
	s.span.SetAttributes(attribute.Int("http.response.status_code", status), attribute.Int64("http.response.body.size", c.entry.bytes))
	if c.principal != nil {
		s.span.SetAttributes(attribute.String("lastseen.caller", callerName(c.principal.Kind)))
	}
	if c.entry.failure != nil {
		s.span.SetAttributes(attribute.String("lastseen.refused", c.entry.failure.CountedAs()))
	}
	if status >= fasthttp.StatusInternalServerError || c.entry.broken {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}
