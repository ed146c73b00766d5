package server

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"lastseen/server/console"
	"lastseen/server/problem"
)

// health says that the process lives.
func health(c *call) error {
	c.reply(fasthttp.StatusOK, []byte(`{"status":"ok"}`))
	return nil
}

// ready says whether the service can serve, and if not, why not.
func ready(c *call) error {
	if c.server.draining.Load() {
		return problem.Stopping
	}
	if err := c.server.services.Ready(c.context()); err != nil {
		return &problem.Problem{Status: fasthttp.StatusServiceUnavailable, RetryAfter: 1, Detail: err.Error()}
	}
	c.reply(fasthttp.StatusOK, []byte(`{"status":"ready"}`))
	return nil
}

var misdirectedPoint = &problem.Problem{
	Status: fasthttp.StatusNotFound, Reason: problem.ReasonNoRoute,
	Detail: "Positions are not taken here and this one was not stored: send them to " + pathApps + "APP/v1 with osmand, gpslogger, traccar_client, owntracks, overland or traccar for APP.",
}

// index tells somebody who opens the address where to look, and leads a browser to the console.
//
// A position that comes here is none of ours to take: apps count any 2xx as stored, and would forget it.
func index(c *call) error {
	if c.http.QueryArgs().Has("lat") || c.http.QueryArgs().Has("latitude") {
		return misdirectedPoint
	}
	if bytes.Contains(c.http.Request.Header.Peek(fasthttp.HeaderAccept), []byte("text/html")) {
		return c.redirect(console.Path)
	}
	c.reply(fasthttp.StatusOK, []byte(`{"service":"lastseen","health":"/healthz","ready":"/readyz","api":"/docs"}`))
	return nil
}
