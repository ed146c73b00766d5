// Package record holds what the load suite found: the outcome of a scenario with all that is needed to
// take the measurement again, and how it is shown, on a terminal, as JSON, and as the page
// benchmarks.md with its plot.
package record
