// Package history streams the data points of a session, whole, in pages or as a feed, in any format, with
// its stationary clusters.
package history
