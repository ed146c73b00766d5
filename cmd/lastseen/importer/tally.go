package importer

import (
	"fmt"
	"regexp"
	"slices"
	"sync"

	"lastseen/cmd/lastseen/trackfile"
)

// Summary says what has become of an import's points.
type Summary struct {
	Read            int // rows and points read from the files, good and bad
	Accepted        int // points that the server has, newly or from before
	Replaced        int // accepted ones that took the place of another of the same session and timestamp
	Dropped         int // optional values that were left out, as they were out of range or said that they are unknown
	Rejected        int // rows that did not parse and points that the server refused
	Sessions        int // sessions that points were sent to
	SessionsCreated int // those of them that the import made
	// FirstSession is the id of one of them, empty when there is none.
	FirstSession string
	// Reasons are the reasons for rejections of single rows and points, each "file:line: sentence"; of those
	// that differ only in their values the first ones, and then how many more there are.
	Reasons []string
	// Notes are what is no error and should not go unsaid, each "file: sentence".
	Notes []string
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
	keep     int // reasons to keep of each fault
	sum      Summary
	faults   []*fault
	sessions map[string]struct{}
	refused  []*Refusal
}

func (t *tally) read() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Read++
}

func (t *tally) accept(n, replaced, dropped int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Accepted += n
	t.sum.Replaced += replaced
	t.sum.Dropped += dropped
}

// fault is a reason for rejections without the values in it.
type fault struct {
	sentence string
	rows     int
	first    string   // where the first of them is, "file:line"
	shown    []string // the first of them, as they are
}

// maxFaults bounds the kinds of faults that are told apart; the rest is counted as one.
const maxFaults = 100

func (t *tally) reject(file string, place trackfile.Place, detail string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Rejected++
	sentence := inGeneral(detail)
	n := slices.IndexFunc(t.faults, func(f *fault) bool { return f.sentence == sentence })
	if n < 0 && len(t.faults) == maxFaults {
		sentence = "other faults"
		n = slices.IndexFunc(t.faults, func(f *fault) bool { return f.sentence == sentence })
	}
	if n < 0 {
		n = len(t.faults)
		t.faults = append(t.faults, &fault{sentence: sentence, first: fmt.Sprintf("%s:%s", file, place)})
	}
	f := t.faults[n]
	if f.rows++; len(f.shown) < t.keep {
		f.shown = append(f.shown, fmt.Sprintf("%s:%s: %s", file, place, detail))
	}
}

var aValue = regexp.MustCompile(`"(?:[^"\\]|\\.)*"…?|\b\d[\d.]*\b`)

// inGeneral is a sentence with its values left out, which rows with the same fault share.
func inGeneral(detail string) string {
	return aValue.ReplaceAllString(detail, "…")
}

// reasons are the sentences of all faults.
func (t *tally) reasons() []string {
	var all []string
	for _, f := range t.faults {
		all = append(all, f.shown...)
		if more := f.rows - len(f.shown); more > 0 {
			all = append(all, fmt.Sprintf("and %d more rows with the same fault as %s", more, f.first))
		}
	}
	return all
}

func (t *tally) note(sentence string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Notes = append(t.sum.Notes, sentence)
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
	sum.Reasons = t.reasons()
	sum.Notes = append([]string(nil), sum.Notes...)
	for _, r := range t.refused {
		sum.Refused = append(sum.Refused, *r)
	}
	sum.FilesFailed = append([]string(nil), sum.FilesFailed...)
	return sum
}
