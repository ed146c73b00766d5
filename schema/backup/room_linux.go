package backup

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// SyncDisk makes what has been written to the disk of a folder survive the loss of power: the files of a backup are many.
func SyncDisk(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(dir.Fd())), dir.Close())
}

// checkRoom refuses a backup of about so many bytes where its disk has not that much to spare.
func checkRoom(path string, size uint64) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(path, &disk); err != nil {
		return fmt.Errorf("look for free space in %s: %w", path, err)
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < size+size/10+spare {
		return fmt.Errorf("the disk of %s has %d MiB free, and the backup may need %d MiB, with %d MiB to spare for what else is there: make room, or choose another disk",
			path, free>>20, (size+size/10)>>20, uint64(spare)>>20)
	}
	return nil
}

// spare is the room that a backup leaves on its disk, which may be the service's.
const spare = 512 << 20
