package server

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/server/console"
	"lastseen/server/problem"
)

// health says that the process lives.
func health(c *call) error {
	c.reply(fasthttp.StatusOK, []byte(`{"status":"ok"}`))
	return nil
}

// readyFor is how long an answer of Services.Ready holds: who asks /readyz, without a credential, must not
// make ClickHouse work for each request.
const readyFor = 500 * time.Millisecond

// readiness is what Services.Ready said last.
type readiness struct {
	mu    sync.Mutex // held while it is asked
	asked time.Time
	err   error
}

// of asks, unless it has been asked a moment ago.
func (r *readiness) of(ctx context.Context, ready func(context.Context) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) >= readyFor {
		r.err = ready(ctx)
		r.asked = time.Now()
	}
	return r.err
}

// ready says whether the service can serve, and if not, why not.
func ready(c *call) error {
	if c.server.draining.Load() {
		return problem.Stopping
	}
	if err := c.server.readiness.of(c.context(), c.server.services.Ready); err != nil {
		return &problem.Problem{Status: fasthttp.StatusServiceUnavailable, RetryAfter: 1, Detail: err.Error()}
	}
	c.reply(fasthttp.StatusOK, []byte(`{"status":"ready"}`))
	return nil
}

var misdirectedPoint = &problem.Problem{
	Status: fasthttp.StatusNotFound, Reason: problem.ReasonNoRoute,
	Detail: "Positions are not taken here and this one was not stored: send them to " + pathApps + "APP/v1 with osmand, gpslogger, traccar_client, owntracks, overland or traccar for APP.",
}

// isPlace are the parameters by which apps name a place.
var isPlace = map[string]bool{"lat": true, "latitude": true, "lon": true, "lng": true, "longitude": true, "location": true}

// index tells somebody who opens the address where to look, and leads a browser to the console.
//
// A position that comes here is none of ours to take: apps count any 2xx as stored, and would forget it.
func index(c *call) error {
	for name := range c.http.QueryArgs().All() {
		if isPlace[strings.ToLower(string(name))] {
			return misdirectedPoint
		}
	}
	if bytes.Contains(c.http.Request.Header.Peek(fasthttp.HeaderAccept), []byte("text/html")) {
		return c.redirect(console.Path)
	}
	answer := struct {
		Service string `json:"service"`
		Health  string `json:"health"`
		Ready   string `json:"ready"`
		API     string `json:"api"`
		Kept    int    `json:"points_kept_for_days,omitempty"` // so that nobody makes a session for points that are too old
	}{"lastseen", "/healthz", "/readyz", "/docs", int(c.server.config.Retention / (24 * time.Hour))}
	return c.json(fasthttp.StatusOK, answer)
}
