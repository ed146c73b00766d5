// Package ingest is the write side: it commits points to ClickHouse in groups, so that what was
// acknowledged is stored, and stored once however often it is sent. Package decode makes points of
// bodies, and package registry knows the devices and sessions that points may name.
//
//	batch, err := decode.Body(body, decode.NDJSON, decode.Gzip, limits)
//	…
//	result, err := writer.Ingest(ctx, registry.Caller{OrgID: org}, batch)
//
// It knows nothing of HTTP: the server maps its errors to status codes.
package ingest
