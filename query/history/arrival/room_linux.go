package arrival

import "golang.org/x/sys/unix"

// Room reports whether a folder's file system has room for a file of so many points that leaves some bytes free, and
// three quarters of what is free now.
func Room(folder string, points, reserve int64) bool {
	var system unix.Statfs_t
	if unix.Statfs(folder, &system) != nil {
		return false
	}
	free, wanted := int64(system.Bavail)*int64(system.Bsize), points*PointBytes
	return free-wanted >= reserve && wanted <= free/4
}
