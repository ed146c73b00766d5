//go:build !linux

package limit

// interruptible does nothing where threads have no time slices of their own.
func interruptible() {}
