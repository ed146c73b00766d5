package schema

import (
	"fmt"
	"os"
	"syscall"
)

// freeSpace returns how many bytes may still be written to the disk of a directory.
func freeSpace(dir string) (int64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("look for free space in %s: %w", dir, err)
	}
	return int64(disk.Bavail) * disk.Bsize, nil
}

// allocate gives a file so many bytes of the disk.
func allocate(file *os.File, size int64) error {
	if err := syscall.Fallocate(int(file.Fd()), 0, 0, size); err != nil {
		return fmt.Errorf("allocate %s: %w", file.Name(), err)
	}
	return nil
}
