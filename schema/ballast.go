package schema

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// ballastName is the file in the embedded engine's directory, and ballastSize its size: ClickHouse reserves 1 MiB for
	// each insert, and merges what it has inserted.
	ballastName = "room-for-revocations"
	ballastSize = 16 << 20
	// ballastPause is the time between two attempts to make it.
	ballastPause = 2 * time.Second
)

// ballast is a file that keeps room on the embedded engine's disk: when the disk is full it is given up, so that a right can
// be taken away all the same. When there is room again it is made anew. It is safe for concurrent use.
type ballast struct {
	path    string
	reserve int64 // of free space that it must leave, bytes
	log     *slog.Logger

	mu      sync.Mutex
	given   uint64 // how often it was given up; guarded by mu
	stop    context.CancelFunc
	running sync.WaitGroup
}

// keepBallast makes the ballast in a directory, at once or as soon as there is room. It returns nil where free space is not
// known.
func keepBallast(dir string, reserve int64, log *slog.Logger) *ballast {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &ballast{path: filepath.Join(dir, ballastName), reserve: reserve, log: log, stop: stop}
	err := b.make()
	if errors.Is(err, errors.ErrUnsupported) {
		stop()
		return nil
	}
	if err != nil {
		log.Warn("no room on the disk could be kept for revocations, should it become full; this is tried again", "file", b.path, "error", err)
	}
	b.running.Go(func() { b.run(ctx) })
	return b
}

// close stops making the ballast; the file stays.
func (b *ballast) close() {
	if b != nil {
		b.stop()
		b.running.Wait()
	}
}

// run makes the ballast again when it has been given up and there is room.
func (b *ballast) run(ctx context.Context) {
	again := time.NewTicker(ballastPause)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if _, err := os.Stat(b.path); errors.Is(err, fs.ErrNotExist) && b.make() == nil {
			b.log.Info("there is room on the disk for revocations again", "file", b.path)
		}
	}
}

// make makes the file unless it is there. It fails where that would leave less than the reserve.
func (b *ballast) make() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if info, err := os.Stat(b.path); err == nil && info.Size() == ballastSize {
		return nil
	}
	free, err := FreeSpace(filepath.Dir(b.path))
	if err != nil {
		return err
	}
	if free < b.reserve+2*ballastSize {
		return errNoRoom
	}
	file, err := os.OpenFile(b.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(allocate(file, ballastSize), file.Close()); err != nil {
		return errors.Join(err, os.Remove(b.path))
	}
	return nil
}

var errNoRoom = errors.New("there is no room on the disk")

// givenUp returns how often room was made.
func (b *ballast) givenUp() uint64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.given
}

// giveUp makes room unless that was done since it had been done so many times, and reports whether there is more now.
func (b *ballast) giveUp(before uint64) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.given != before {
		return true
	}
	if os.Remove(b.path) != nil {
		return false
	}
	b.given++
	b.log.Error("the disk is full: the room that was kept for revocations is given up; make room", "file", b.path)
	return true
}

// withRoom runs a statement that takes a right away, once more with the room that is kept for it where the disk is full: also
// where another statement has made that room meanwhile.
func (db *connection) withRoom(write func() error) error {
	before := db.ballast.givenUp()
	err := write()
	if diskFull(err) && db.ballast.giveUp(before) {
		err = write()
	}
	return err
}

// execWithRoom is withRoom of a statement without a result.
func (db *connection) execWithRoom(ctx context.Context, query string, args ...any) error {
	return db.withRoom(func() error { return db.conn.Exec(ctx, query, args...) })
}
