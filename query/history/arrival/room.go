package arrival

import "lastseen/schema"

// Room reports whether a folder's file system is known to have room for a file of so many points that leaves some bytes
// free, and three quarters of what is free now.
func Room(folder string, points, reserve int64) bool {
	free, err := schema.FreeSpace(folder)
	wanted := points * PointBytes
	return err == nil && free-wanted >= reserve && wanted <= free/4
}
