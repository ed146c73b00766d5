package schema

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"syscall"
)

// FreeSpace returns how many bytes may still be written to the disk of a directory.
func FreeSpace(dir string) (int64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("look for free space in %s: %w", dir, err)
	}
	return int64(disk.Bavail) * disk.Bsize, nil
}

// allocate gives a file so many bytes of the disk: where the file system cannot do so by itself, by writing what it cannot
// make smaller.
func allocate(file *os.File, size int64) error {
	err := syscall.Fallocate(int(file.Fd()), 0, 0, size)
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		_, err = io.CopyN(file, rand.NewChaCha8([32]byte{}), size)
	}
	if err != nil {
		return fmt.Errorf("allocate %s: %w", file.Name(), err)
	}
	return nil
}
