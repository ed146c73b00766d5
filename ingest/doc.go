// Package ingest is the write side. It decodes bodies of data points, knows the devices and the
// sessions that points may name, and commits points to ClickHouse in groups, so that what was
// acknowledged is stored, and stored once however often it is sent.
//
//	batch, err := ingest.Decode(body, ingest.NDJSON, ingest.Gzip, limits)
//	…
//	result, err := writer.Ingest(ctx, ingest.Caller{OrgID: org}, batch)
//
// It knows nothing of HTTP: the server maps its errors to status codes.
package ingest
