//go:build !linux

package embedded

// keepNotice runs f. The engine's notice of where it logs to appears on standard error.
func keepNotice(f func()) { f() }
