//go:build race

package replica

// raced says that the race detector watches. A simulated world is one goroutine's, in which there is nothing to see, and
// takes ten times as long then: `make test` runs the simulations without it.
const raced = true
