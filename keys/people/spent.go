package people

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"lastseen/schema"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// spentTokens remembers, until they would expire anyway, which tokens must not be accepted although
// they are well signed: sign-in links that were used, and sessions that were ended. It keeps them in
// a file too, so that a restart does not bring them back. One process at a time may use a file. It is
// safe for concurrent use.
type spentTokens struct {
	path string
	now  func() time.Time

	writing sync.Mutex // held while the file is written; taken before mu
	file    *os.File
	lines   int // in the file

	mu    sync.RWMutex
	until map[string]int64 // by token id: Unix seconds after which it may be forgotten
}

// maxSpent bounds the tokens that are remembered, about 10 MB. Only tokens that were signed here get in.
const maxSpent = 100_000

// openSpent reads the file, or begins one.
func openSpent(path string, now func() time.Time) (*spentTokens, error) {
	s := &spentTokens{path: path, now: now, until: map[string]int64{}}
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read which sign-in tokens are spent: %w", err)
	}
	for id, until := range parseSpent(content) {
		if until > now().Unix() {
			s.until[id] = until
		}
	}
	if err := s.rewrite(); err != nil {
		return nil, fmt.Errorf("write which sign-in tokens are spent: %w", err)
	}
	return s, nil
}

// parseSpent reads the lines of the file: an id, a space, Unix seconds. Others are skipped, since a
// loss of power may leave half a line, of a token whose use was then never acknowledged.
func parseSpent(content []byte) map[string]int64 {
	spent := map[string]int64{}
	for line := range bytes.Lines(content) {
		id, seconds, found := bytes.Cut(bytes.TrimSuffix(line, []byte{'\n'}), []byte{' '})
		until, err := strconv.ParseInt(string(seconds), 10, 64)
		if found && err == nil && validTokenID(string(id)) {
			spent[string(id)] = max(until, spent[string(id)])
		}
	}
	return spent
}

func appendSpent(b []byte, id string, until int64) []byte {
	b = append(append(b, id...), ' ')
	return append(strconv.AppendInt(b, until, 10), '\n')
}

// add spends a token that expires at a time, on disk and in memory. It returns false when the token
// was spent before. It fails with schema.Unavailable, and then the token is not spent.
func (s *spentTokens) add(id string, expiresAt time.Time) (bool, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.has(id) {
		return false, nil
	}
	if s.file == nil {
		return false, schema.Unavailable.Because(fmt.Errorf("the file of spent tokens is closed"))
	}
	if len(s.until) >= maxSpent || s.lines > 2*len(s.until)+1000 {
		s.forget()
		if len(s.until) >= maxSpent {
			return false, schema.Unavailable.Because(fmt.Errorf("%d sign-in tokens are remembered", maxSpent))
		}
		if err := s.rewrite(); err != nil {
			return false, schema.Unavailable.Because(fmt.Errorf("rewrite the file of spent tokens: %w", err))
		}
	}
	until := expiresAt.Unix() + int64(ClockLeeway/time.Second) + 1
	_, err := s.file.Write(appendSpent(nil, id, until))
	if err = errors.Join(err, s.file.Sync()); err != nil {
		return false, schema.Unavailable.Because(fmt.Errorf("write that a sign-in token is spent: %w", err))
	}
	s.lines++
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until[id] = until
	return true, nil
}

// has reports whether a token is spent.
func (s *spentTokens) has(id string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, spent := s.until[id]
	return spent
}

// forget drops the tokens that have expired.
func (s *spentTokens) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().Unix()
	for id, until := range s.until {
		if until <= now {
			delete(s.until, id)
		}
	}
}

// rewrite replaces the file by one with just what is in memory. The caller holds writing, or is alone.
func (s *spentTokens) rewrite() (err error) {
	var content []byte
	for id, until := range s.until {
		content = appendSpent(content, id, until)
	}
	dir := filepath.Dir(s.path)
	file, err := os.CreateTemp(dir, filepath.Base(s.path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync()); err == nil {
		err = os.Rename(file.Name(), s.path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	if s.file != nil {
		err = s.file.Close()
	}
	s.file, s.lines = file, len(s.until)
	return err
}

// close closes the file. Nothing can be spent afterwards.
func (s *spentTokens) close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
