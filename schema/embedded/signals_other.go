//go:build !linux

package embedded

// keepSignalHandlers runs f. The engine's own handlers are switched off
// before; only Linux has been seen to need more.
func keepSignalHandlers(f func()) { f() }
