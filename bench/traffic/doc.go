// Package traffic is what the load suite sends and how it judges what comes back, each answer checked against what must
// be in it (check.go, position.go, timestamp.go), all of the sessions that a Catalogue (catalogue.go) holds and that
// Draws (draws.go) choose.
//
// Sources of requests are polls (poll.go, readers.go), batches (batch.go), ingest (ingest.go) and short histories
// (history.go); whole histories are pulled by a Puller (pull.go), and what changes is followed by Events (events.go).
package traffic
