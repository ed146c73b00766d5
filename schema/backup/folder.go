package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lastseen/schema"
)

// folder is a repository that is a folder of this machine, which is ClickHouse's too, or is shared with it at the same path.
type folder struct{ path string }

func openFolder(path string) (repository, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("the folder for backups must be an absolute path")
	}
	return folder{filepath.Clean(path)}, nil
}

// names implements repository.
func (f folder) names(context.Context) (names []string, err error) {
	entries, err := os.ReadDir(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for backups: %w", err)
	}
	for _, entry := range entries {
		if !validName.MatchString(entry.Name()) {
			continue
		}
		if _, err := os.Stat(filepath.Join(f.path, entry.Name(), manifestFile)); err == nil {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// begin implements repository. It refuses where there is not enough room.
func (f folder) begin(_ context.Context, name string, size uint64) error {
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return fmt.Errorf("make the folder for backups (who writes is the user that the service runs as): %w", err)
	}
	if err := checkRoom(f.path, size); err != nil {
		return err
	}
	err := os.Mkdir(filepath.Join(f.path, name), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return errTaken
	}
	if err != nil {
		return fmt.Errorf("make the folder of the backup (who writes is the user that the service runs as): %w", err)
	}
	return nil
}

// discard implements repository.
func (f folder) discard(_ context.Context, name string) {
	_ = os.RemoveAll(filepath.Join(f.path, name)) // without a manifest what is left counts for nothing
}

// read implements repository.
func (f folder) read(_ context.Context, name, file string) ([]byte, error) {
	return os.ReadFile(filepath.Join(f.path, name, file))
}

// write implements repository.
func (f folder) write(_ context.Context, name, file string, content []byte) error {
	dir := filepath.Join(f.path, name)
	if err := writeFile(dir, file, content); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(dir, file), err)
	}
	return nil
}

// writeFile writes a file that appears with all its content, and survives the loss of power.
func writeFile(dir, name string, content []byte) (err error) {
	file, err := os.CreateTemp(dir, name+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return SyncFolder(dir)
}

// SyncFolder makes the names in a folder survive the loss of power.
func SyncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// place implements repository.
func (f folder) place(name string, step int) schema.Place {
	return schema.Place{Folder: filepath.Join(f.path, name, stepFolder(step))}
}

// verify implements repository: every file is read and held against the checksum that ClickHouse has noted.
func (f folder) verify(ctx context.Context, m *Manifest, deep bool) error {
	if err := SyncDisk(f.path); err != nil {
		return fmt.Errorf("make the backup survive the loss of power: %w", err)
	}
	for step := range m.Tables {
		base := ""
		if m.Base != "" {
			base = f.place(m.Base, step).Folder
		}
		if err := verifyFolder(ctx, f.place(m.Name, step).Folder, base, deep); err != nil {
			return err
		}
	}
	return nil
}
