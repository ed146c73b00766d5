package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/keys"
	"lastseen/keys/ratelimit"
	"lastseen/server/caller"
	"lastseen/server/problem"
)

// AccessLog says which requests are logged, one line each.
type AccessLog uint8

// The choices of AccessLog.
const (
	// LogUsual logs everything but successful polls of last_seen, requests of the probes and of the
	// files of pages, which would drown the rest.
	LogUsual AccessLog = iota
	// LogAll logs every request.
	LogAll
	// LogErrors logs requests that were answered with 400 or above.
	LogErrors
	// LogNothing logs no requests. Faults of ours are logged in any case.
	LogNothing
)

// ParseAccessLog reads usual, all, errors or off.
func ParseAccessLog(text string) (AccessLog, bool) {
	switch text {
	case "usual":
		return LogUsual, true
	case "all":
		return LogAll, true
	case "errors":
		return LogErrors, true
	case "off":
		return LogNothing, true
	}
	return 0, false
}

// logEntry is what will be logged of a call. It holds nothing of the request's memory, because a
// streamed answer outlives it, and no word of the request's parameters, where secrets may be.
type logEntry struct {
	method, path string
	status       int
	bytes        int64
	began        time.Time
	failure      *problem.Problem
	broken       bool // the answer was cut after its status
}

func (e *logEntry) begin(r *route, ctx *fasthttp.RequestCtx, began time.Time) {
	e.method, e.path, e.began = r.method, r.path, began
	switch {
	case ctx.IsHead():
		e.method = fasthttp.MethodHead
	case e.method == "": // a refusal
		e.method = short(ctx.Method(), 16)
	}
	if e.path == "" {
		e.path = "(unknown)"
		if path := ctx.Path(); !caller.HoldsCredential(path) {
			e.path = short(path, 128)
		}
	}
}

// short copies the beginning of a text.
func short(text []byte, length int) string {
	if len(text) > length {
		return string(text[:length]) + "…"
	}
	return string(text)
}

func (e *logEntry) fail(p *problem.Problem) { e.failure = p }

// cut notes that a streamed answer broke off after its status had been sent.
func (e *logEntry) cut(err error) {
	e.failure, e.broken = problem.From(err, problem.Query).Because(err), true
}

// thinnedRate is how many refusals of who asks too much, and of everybody while the store fails, are logged:
// they come by the thousand, and metrics count them all.
var thinnedRate = ratelimit.Rate{Quota: 1, Window: time.Second}

// wanted reports whether a call is to be logged.
func (s *Server) wanted(c *call) bool {
	status := c.entry.status
	if s.config.AccessLog == LogAll {
		return true
	}
	if c.entry.failure != nil {
		reason := c.entry.failure.CountedAs()
		if s.storeFails(reason) {
			return false // said once for all
		}
		if thinned := s.thinned[reason]; thinned != nil && !c.entry.broken && thinned.Take(thinnedRate, c.entry.began) > 0 {
			return false
		}
	}
	if status >= fasthttp.StatusInternalServerError && c.entry.failure != nil && c.entry.failure.Cause != nil {
		return true
	}
	switch s.config.AccessLog {
	case LogErrors:
		return status >= fasthttp.StatusBadRequest
	case LogNothing:
		return false
	}
	return status >= fasthttp.StatusBadRequest || !c.route.quiet
}

// storeFails reports whether a refusal is one of those that a known failure of the store brings about.
func (s *Server) storeFails(reason string) bool {
	switch reason {
	case problem.ReasonUnavailable, problem.ReasonDiskFull, problem.ReasonTimeout, problem.ReasonBusy:
		return s.services.StoreDown != nil && s.services.StoreDown()
	}
	return false
}

// logCall writes the access log's line.
func (s *Server) logCall(c *call) {
	if !s.wanted(c) {
		return
	}
	entry := &c.entry
	level := slog.LevelInfo
	if entry.status >= fasthttp.StatusInternalServerError {
		level = slog.LevelError
	}
	if !s.config.Logger.Enabled(context.Background(), level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("method", entry.method), slog.String("path", entry.path), slog.Int("status", entry.status),
		slog.Int64("bytes", entry.bytes), slog.Duration("duration", time.Since(entry.began)),
		slog.String("request_id", string(c.id.bytes())),
	}
	if p := c.principal; p != nil {
		attributes = append(attributes, slog.String("org", p.OrgID), slog.String("caller", callerName(p.Kind)))
		if p.Kind == keys.CallerUser {
			attributes = append(attributes, slog.String("user", p.UserID))
		} else {
			attributes = append(attributes, slog.String("key_id", p.KeyID.String()))
		}
	}
	if entry.broken {
		attributes = append(attributes, slog.Bool("cut", true))
	}
	if entry.failure != nil && entry.failure.Cause != nil {
		attributes = append(attributes, slog.String("cause", entry.failure.Cause.Error()))
	}
	s.config.Logger.LogAttrs(context.Background(), level, "request", attributes...)
}

func callerName(kind keys.CallerKind) string {
	switch kind {
	case keys.CallerUser:
		return "user"
	case keys.CallerAPIKey:
		return "api_key"
	case keys.CallerDeviceCredential:
		return "device_credential"
	}
	return "unknown"
}
