//go:build !linux

package bench

// storage is for Linux, where the suite runs.
func storage(string) string { return "unknown" }
