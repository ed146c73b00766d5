// Package server is the HTTP face of the service. What is of one subject and no route stands in a package of its own below:
// transport (connections and the direct way of polls), caller (who is calling, and may it), limit, input (parameters and
// bodies), stream (answers that are made while they are sent), problem (refusals, and the one place that turns errors into
// status codes), cluster, openapi, console and metrics. Here are:
//
//   - the table from which the router, the authorisation, the limits and the description of the API follow: routes.go,
//     bounds.go, describe.go, describe_apps.go, describe_history.go;
//   - a request's way: server.go (wiring, router, start and stop), call.go (one request), decide.go (may it go on),
//     rates.go, body.go, stream.go, requestid.go;
//   - a file a resource: last_seen.go with wait.go and poll_direct.go, last_seen_batch.go, last_seen_changes.go with
//     last_seen_events.go (both kinds of waits: waiting.go), data_points.go with format.go, ingest.go,
//     ingest_app.go, sessions.go, devices.go, api_keys.go, signin.go, pages.go, maptiles.go, health.go;
//   - what is told of requests: accesslog.go and stats.go.
package server
