//go:build !linux

package arrival

// Room reports whether a folder's file system is known to have room for a file of points. It is not.
func Room(string, int64, int64) bool { return false }
