package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// ErrLocked means that another process holds the data directory.
var ErrLocked = errors.New("the data directory is in use")

// lockName is the file whose lock stands for the data directory.
const lockName = "lastseen.lock"

// dirLock is this process's hold on a data directory: an advisory lock on a
// file in it, which the system releases when the process dies. The file's
// content is the holder's process id, for the error message only.
type dirLock struct{ file *flock.Flock }

func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, lockName)
	lock := flock.New(path, flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("%w: %s holds %s; stop it or choose another directory", ErrLocked, holder(path), dir)
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the lock file: %w", err), lock.Unlock())
	}
	return &dirLock{lock}, nil
}

// holder says who holds the lock file, as far as it is known.
func holder(path string) string {
	content, err := os.ReadFile(path)
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || convErr != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d", pid)
}

func (l *dirLock) release() error {
	if err := l.file.Unlock(); err != nil {
		return fmt.Errorf("releasing the data directory: %w", err)
	}
	return nil
}
