package exporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/gofrs/flock"
	"lastseen.example/client"
)

// directory is where the files go, locked against a second export.
type directory struct {
	path, format string
	lock         *flock.Flock
}

// request is what a directory holds the answers to.
type request struct {
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Format string    `json:"format"`
}

// state is how far a session's partial file has come.
type state struct {
	Cursor string `json:"cursor"`
	Bytes  int64  `json:"bytes"` // of whole pages, on the disk
}

// requestFile says what range and format a directory's files have.
const requestFile = ".export.json"

// openDirectory makes the directory and refuses one with an export of something else, whose complete
// files would be taken for this one's.
func openDirectory(path string, options *Options) (*directory, error) {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, fmt.Errorf("make the directory of the files: %w", err)
	}
	dir := &directory{path: path, format: options.Format, lock: flock.New(filepath.Join(path, ".export.lock"))}
	locked, err := dir.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the directory of the files: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("another export is writing to %s: wait for it, or choose another directory", path)
	}
	want := request{options.Start.UTC(), options.End.UTC(), options.Format}
	var before request
	found, err := readJSON(filepath.Join(path, requestFile), &before)
	switch {
	case err != nil:
	case found && !options.Restart && (!before.Start.Equal(want.Start) || !before.End.Equal(want.End) || before.Format != want.Format):
		err = fmt.Errorf("%s holds an export from %s to %s as %s: choose another directory, the same range and format, or --no-resume",
			path, before.Start.Format(time.RFC3339Nano), before.End.Format(time.RFC3339Nano), before.Format)
	default:
		err = writeJSON(filepath.Join(path, requestFile), want)
	}
	if err != nil {
		dir.close()
		return nil, err
	}
	return dir, nil
}

func (d *directory) close() { d.lock.Unlock() }

// final is a session's complete file; partial and state are there until it is.
func (d *directory) final(session string) string {
	return filepath.Join(d.path, session+"."+d.format)
}
func (d *directory) partial(session string) string {
	return filepath.Join(d.path, "."+session+"."+d.format+".part")
}
func (d *directory) state(session string) string {
	return filepath.Join(d.path, "."+session+"."+d.format+".state")
}

// sessionID is what can be part of a file's name.
var sessionID = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// toFile pulls one session into its file, from where an earlier export stopped.
func (e *Export) toFile(ctx context.Context, dir *directory, session string) error {
	if !sessionID.MatchString(session) {
		return fmt.Errorf("%q is not a session's id", session)
	}
	if _, err := os.Stat(dir.final(session)); err == nil && !e.options.Restart {
		e.skipped.Add(1)
		e.done.Add(1)
		return nil
	}
	file, err := os.OpenFile(dir.partial(session), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer file.Close()
	at, err := e.resume(dir, session, file)
	if err != nil {
		return err
	}
	err = e.pull(ctx, dir, session, file, at)
	if at.Cursor != "" && client.HasStatus(err, http.StatusUnprocessableEntity) {
		// The cursor is of before the server's signing key changed.
		err = e.pull(ctx, dir, session, file, state{})
	}
	if client.HasStatus(err, http.StatusNotFound) || client.HasStatus(err, http.StatusUnprocessableEntity) {
		os.Remove(dir.partial(session))
		os.Remove(dir.state(session))
	}
	if err != nil {
		return err
	}
	e.done.Add(1)
	return nil
}

// resume returns where a partial file goes on; the zero state is its beginning.
func (e *Export) resume(dir *directory, session string, file *os.File) (at state, err error) {
	if e.options.Restart || !Pageable(e.options.Format) {
		return state{}, nil
	}
	found, err := readJSON(dir.state(session), &at)
	if err != nil || !found {
		return state{}, err
	}
	info, err := file.Stat()
	if err != nil || info.Size() < at.Bytes {
		return state{}, err
	}
	return at, nil
}

// pull appends pages until there are no more, and gives the file its name.
func (e *Export) pull(ctx context.Context, dir *directory, session string, file *os.File, at state) error {
	for {
		var part *page
		begin := func() (io.Writer, error) {
			if err := file.Truncate(at.Bytes); err != nil {
				return nil, err
			}
			_, err := file.Seek(at.Bytes, io.SeekStart)
			part = &page{to: file, skipHeader: e.options.Format == "csv" && at.Bytes > 0}
			return part, err
		}
		answer, err := e.server.Download(ctx, client.HistoryPath, e.query(session, at.Cursor), begin)
		if err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		e.count(part, e.options.Format == "csv" && at.Bytes == 0)
		at = state{Cursor: answer.Next, Bytes: at.Bytes + part.bytes}
		if at.Cursor == "" {
			break
		}
		if err := writeJSON(dir.state(session), at); err != nil {
			return err
		}
	}
	if err := os.Rename(dir.partial(session), dir.final(session)); err != nil {
		return err
	}
	if err := os.Remove(dir.state(session)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncDirectory(dir.path)
}

// readJSON reads a small file and reports whether it is there.
func readJSON(path string, into any) (found bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return false, fmt.Errorf("read %s, which an earlier export left (--no-resume goes without it): %w", path, err)
	}
	return true, nil
}

// writeJSON replaces a small file as a whole.
func writeJSON(path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	file, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// syncDirectory makes a rename outlive a power cut.
func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
