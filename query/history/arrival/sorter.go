package arrival

import (
	"fmt"
	"os"
	"slices"
	"unsafe"

	"lastseen/schema"
)

// Source is where points come from. A *schema.PointReader is one.
type Source interface {
	// Next moves to the next point and reports whether there is one.
	Next() bool
	// Point returns the point that Next moved to.
	Point() *schema.DataPoint
	// Err returns why there is none, nil at the end.
	Err() error
}

const (
	// chunkPoints is how many points of a step are written at a time: 32 KB.
	chunkPoints = 512
	// PointBytes is what a point takes in the file.
	PointBytes = int64(unsafe.Sizeof(schema.DataPoint{}))
)

// Sorter gives points by when they arrived, then by session, then by timestamp. It keeps them in a file without a name, one
// step of the time of arrival after the other, and sorts a step while the one before is used, so that of all the points
// three steps at most are in memory. It belongs to one goroutine, and is itself a Source.
type Sorter struct {
	file    *os.File
	ends    []int64 // the last time of arrival of each step, Unix milliseconds, ascending
	steps   []step
	written int64 // chunks
	last    int   // the step of the point before

	ahead  *ahead
	sorted []schema.DataPoint // those of the step that is used, from the current point on
	begun  bool               // there is a current point
	err    error
}

// step is what is known of the points of one.
type step struct {
	chunks []int64            // their numbers in the file, each full
	rest   []schema.DataPoint // those that fill no chunk
}

// Sort reads a source to its end and sorts it. ends are ascending times of arrival (Unix milliseconds), each the last of a
// step, the last of which is that of all: the fewer points arrived in a step the less memory is taken. The file is in a
// folder and takes PointBytes a point. The caller closes the sorter.
func Sort(folder string, ends []int64, from Source) (_ *Sorter, err error) {
	file, err := os.CreateTemp(folder, "feed-*")
	if err != nil {
		return nil, fmt.Errorf("make a file to sort a feed in: %w", err)
	}
	s := &Sorter{file: file, ends: ends, steps: make([]step, len(ends))}
	defer func() {
		if err != nil {
			file.Close() // it has failed already
		}
	}()
	if err := os.Remove(file.Name()); err != nil { // so that it ends with the process at the latest
		return nil, fmt.Errorf("make a file to sort a feed in: %w", err)
	}
	for from.Next() {
		if err := s.add(from.Point()); err != nil {
			return nil, err
		}
	}
	if err := from.Err(); err != nil {
		return nil, err
	}
	s.ahead = startAhead(s)
	return s, nil
}

// add takes over a point.
func (s *Sorter) add(p *schema.DataPoint) error {
	i := s.last
	if p.ReceivedAt > s.ends[i] || i > 0 && p.ReceivedAt <= s.ends[i-1] { // as it is for most, which are in the order of a session
		if i, _ = slices.BinarySearch(s.ends, p.ReceivedAt); i == len(s.ends) {
			return fmt.Errorf("sort a feed: a point arrived at %d, after the last step", p.ReceivedAt)
		}
		s.last = i
	}
	into := &s.steps[i]
	if into.rest == nil {
		into.rest = make([]schema.DataPoint, 0, chunkPoints)
	}
	into.rest = append(into.rest, *p)
	if len(into.rest) < chunkPoints {
		return nil
	}
	if _, err := s.file.Write(bytesOf(into.rest)); err != nil {
		return fmt.Errorf("write to the file that a feed is sorted in: %w", err)
	}
	into.chunks = append(into.chunks, s.written)
	into.rest = into.rest[:0]
	s.written++
	return nil
}

// bytesOf is the memory of points, which hold no pointers. It is read by nobody but this process.
func bytesOf(points []schema.DataPoint) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(points))), int64(len(points))*PointBytes)
}

// Next moves to the next point and reports whether there is one.
func (s *Sorter) Next() bool {
	if s.begun {
		s.sorted = s.sorted[1:]
	}
	s.begun = false
	for len(s.sorted) == 0 {
		if s.err != nil || !s.ahead.next(s) {
			return false
		}
	}
	s.begun = true
	return true
}

// Point returns the point that Next moved to, which lives until Next is called again.
func (s *Sorter) Point() *schema.DataPoint { return &s.sorted[0] }

// Err returns what made Next return false, nil at the end.
func (s *Sorter) Err() error { return s.err }

// Close frees the file.
func (s *Sorter) Close() error {
	s.ahead.close()
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("close the file that a feed is sorted in: %w", err)
	}
	return nil
}
