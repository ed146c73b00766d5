//go:build !linux

package schema

import (
	"errors"
	"os"
)

// FreeSpace is how many bytes may still be written to the disk of a directory. It is not known here, so that no room is kept.
func FreeSpace(string) (int64, error) { return 0, errors.ErrUnsupported }

func allocate(*os.File, int64) error { return errors.ErrUnsupported }
