package importer

import (
	"fmt"
	"sync"

	"lastseen/cmd/lastseen/trackfile"
)

// Summary says what has become of an import's points.
type Summary struct {
	Read            int // rows and points read from the files, good and bad
	Accepted        int // points that the server has, newly or from before
	Rejected        int // rows that did not parse and points that the server refused
	Sessions        int // sessions that points were sent to
	SessionsCreated int // those of them that the import made
	// FirstSession is the id of one of them, empty when there is none.
	FirstSession string
	// Reasons are the first reasons for rejections of single rows and points, each "file:line: sentence".
	Reasons []string
	// Refused are the devices that the server refuses. Their points count as rejected.
	Refused []Refusal
	// FilesFailed are the files that could not be read to their end, each "file: sentence".
	FilesFailed []string
}

// Refusal is a device that the server refuses, and with it all of its points.
type Refusal struct {
	Device string // its name in the file
	Where  string // its first point, "file:line"
	Points int    // those that were not imported for it
	Taken  bool   // whether another organisation has the device
	Reason string // the server's sentence
}

// Complete reports whether every row of every file was accepted.
func (s *Summary) Complete() bool {
	return s.Rejected == 0 && len(s.FilesFailed) == 0 && s.Accepted == s.Read
}

// tally counts. It is safe for concurrent use.
type tally struct {
	mu       sync.Mutex
	keep     int // reasons to keep
	sum      Summary
	sessions map[string]struct{}
	refused  []*Refusal
}

func (t *tally) read() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Read++
}

func (t *tally) accept(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Accepted += n
}

func (t *tally) reject(file string, place trackfile.Place, detail string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Rejected++
	if len(t.sum.Reasons) < t.keep {
		t.sum.Reasons = append(t.sum.Reasons, fmt.Sprintf("%s:%s: %s", file, place, detail))
	}
}

// refuse counts a point of a device that the server refuses. From its first point on the refusal is the tally's.
func (t *tally) refuse(r *Refusal, file string, place trackfile.Place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Points == 0 {
		r.Where = fmt.Sprintf("%s:%s", file, place)
		t.refused = append(t.refused, r)
	}
	r.Points++
	t.sum.Rejected++
}

func (t *tally) fileFailed(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.FilesFailed = append(t.sum.FilesFailed, reason)
}

func (t *tally) session(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sessions == nil {
		t.sessions = map[string]struct{}{}
	}
	if len(t.sessions) == 0 {
		t.sum.FirstSession = id
	}
	t.sessions[id] = struct{}{}
}

func (t *tally) created() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.SessionsCreated++
}

func (t *tally) summary() Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.sum
	sum.Sessions = len(t.sessions)
	sum.Reasons = append([]string(nil), sum.Reasons...)
	for _, r := range t.refused {
		sum.Refused = append(sum.Refused, *r)
	}
	sum.FilesFailed = append([]string(nil), sum.FilesFailed...)
	return sum
}
