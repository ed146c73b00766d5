//go:build !linux

package record

// Storage is for Linux, where the suite runs.
func Storage(string) string { return "unknown" }
