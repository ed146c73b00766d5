package exporter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// folder is a directory of numbered files that a feed is followed into, locked against a second follower.
//
// A file is written under a hidden name and synced. Then the state that names it and the cursor after it takes the place
// of the one before, by one rename: from there on the file is done, and what is left, to give it its name, is done again
// by whoever opens the folder next. So a kill at any moment leaves either the state before or the one after, and readers
// may take files away as they like.
type folder struct {
	path, format string
	lock         *flock.Flock
	state        followState
}

// followState is what a folder holds and where its feed goes on.
type followState struct {
	Format        string    `json:"format"`
	Scope         string    `json:"org_scope"`
	ReceivedAfter time.Time `json:"received_after,omitzero"`

	Cursor string `json:"cursor"`
	Files  int64  `json:"files"` // which is the number of the last one
	Bytes  int64  `json:"bytes"` // of the last one
}

// followFile is the name of a folder's state.
const followFile = ".follow.json"

// openFolder makes the directory, or goes on in one of the same feed and format.
func openFolder(path string, options *FollowOptions) (*folder, error) {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, fmt.Errorf("make the directory of the files: %w", err)
	}
	f := &folder{path: path, format: options.Format, lock: flock.New(filepath.Join(path, ".export.lock"))}
	locked, err := f.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the directory of the files: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("another export is writing to %s: wait for it, or choose another directory", path)
	}
	if err := f.load(options); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// load reads the state and finishes what it says.
func (f *folder) load(options *FollowOptions) error {
	want := followState{Format: options.Format, Scope: options.Scope, ReceivedAfter: options.ReceivedAfter.UTC()}
	found, err := readJSON(filepath.Join(f.path, followFile), &f.state)
	if err != nil {
		return err
	}
	if !found {
		f.state = want
	}
	if s := &f.state; s.Format != want.Format || s.Scope != want.Scope || !s.ReceivedAfter.Equal(want.ReceivedAfter) {
		return fmt.Errorf("%s follows the feed of %s sessions as %s: choose another directory, or the same --format, --org-scope and --received-after as before", f.path, s.Scope, s.Format)
	}
	if err := f.finish(); err != nil {
		return err
	}
	left, err := filepath.Glob(f.part(0)[:len(f.path)+1] + ".points-*.part")
	for _, part := range left {
		err = errors.Join(err, os.Remove(part))
	}
	return err
}

func (f *folder) close() { f.lock.Unlock() }

// file is the name of a file that is done, part the one before.
func (f *folder) file(number int64) string {
	return filepath.Join(f.path, fmt.Sprintf("points-%09d.%s", number, f.format))
}
func (f *folder) part(number int64) string {
	return filepath.Join(f.path, fmt.Sprintf(".points-%09d.%s.part", number, f.format))
}

// begin makes the next file.
func (f *folder) begin() (*os.File, error) {
	return os.Create(f.part(f.state.Files + 1))
}

// commit makes a file that was written the next one, with the cursor after it.
func (f *folder) commit(part *os.File, bytes int64, cursor string) error {
	if err := part.Sync(); err != nil {
		return err
	}
	if err := syncDirectory(f.path); err != nil { // the state must not outlive the file that it names
		return err
	}
	next := f.state
	next.Cursor, next.Files, next.Bytes = cursor, next.Files+1, bytes
	if err := writeJSON(filepath.Join(f.path, followFile), next); err != nil {
		return err
	}
	if err := syncDirectory(f.path); err != nil {
		return err
	}
	f.state = next
	return f.finish()
}

// finish gives the last file of the state its name, if it has not got it.
func (f *folder) finish() error {
	number := f.state.Files
	info, err := os.Stat(f.part(number))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Size() != f.state.Bytes {
		return fmt.Errorf("%s has %d bytes and should have %d: the disk has lost some of it; follow into another directory", f.part(number), info.Size(), f.state.Bytes)
	}
	if err := os.Rename(f.part(number), f.file(number)); err != nil {
		return err
	}
	return syncDirectory(f.path)
}
