// Package decode turns bodies into points: JSON and NDJSON, as they are or compressed, and what apps send. A
// bad point gets a sentence of its own beside the good ones. Its memory is bounded, and taken from a budget.
//
// A body of our own is read by body.go, which takes its values from frames.go and compression.go and gives each
// to point.go; decimal.go reads numbers exactly. An app's message is read by app.go, position.go (what all apps
// say, and what is unknown), app_parameters.go (what stands in an address) and a file an app. Both put their
// points into a batch (batch.go) under a budget (budget.go).
package decode
