// Package server is the HTTP face of the service: one table of routes (routes.go) from which the
// router, the authorisation, the limits and the description of the API follow; credentials to
// principals; parameters and bodies to typed requests; domain errors to status codes; and the limits
// on connections, sizes, times and concurrency. It is the only package that knows fasthttp.
package server
