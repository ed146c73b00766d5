package main

import (
	"runtime/debug"
	"sync"
)

// Memory that a start may take before garbage is collected all the same, in bytes: twice what rows take when they are loaded, and
// what all else takes without any.
const (
	startMemory       = 256 << 20
	startMemoryPerRow = 512
)

// starting are the starts under way in this process, during which garbage is collected seldom: nearly all that is allocated stays, so
// that collecting would read it again and again for little.
var starting struct {
	mu     sync.Mutex
	count  int
	growth int   // percent, to which the last one sets the collector back
	limit  int64 // bytes, likewise
}

// collectSeldom has garbage collected only when there is much of it, until usual is called.
func collectSeldom() (usual func()) {
	starting.mu.Lock()
	defer starting.mu.Unlock()
	if starting.count++; starting.count == 1 {
		starting.growth, starting.limit = debug.SetGCPercent(-1), debug.SetMemoryLimit(-1)
		debug.SetMemoryLimit(min(starting.limit, startMemory))
	}
	return func() {
		starting.mu.Lock()
		defer starting.mu.Unlock()
		if starting.count--; starting.count == 0 {
			debug.SetMemoryLimit(starting.limit)
			debug.SetGCPercent(starting.growth)
		}
	}
}

// expectRows gives a start under way the memory that the rows it loads will take.
func expectRows(rows int) {
	starting.mu.Lock()
	defer starting.mu.Unlock()
	if starting.count > 0 {
		expected := startMemory + int64(rows)*startMemoryPerRow
		debug.SetMemoryLimit(min(starting.limit, max(debug.SetMemoryLimit(-1), expected)))
	}
}
