package exporter

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// page passes an answer's bytes on, without a first line that is a table's header where there has been
// one, and counts.
type page struct {
	to           io.Writer
	skipHeader   bool
	bytes, lines int64
}

// Write implements io.Writer.
func (p *page) Write(data []byte) (int, error) {
	length := len(data)
	if p.skipHeader {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			return length, nil
		}
		p.skipHeader, data = false, data[end+1:]
	}
	p.bytes += int64(len(data))
	p.lines += int64(bytes.Count(data, []byte{'\n'}))
	if _, err := p.to.Write(data); err != nil {
		return 0, err
	}
	return length, nil
}

// spool holds one answer until it is known to be whole.
type spool struct {
	file  *os.File
	named bool
}

func newSpool() (*spool, error) {
	file, err := os.CreateTemp("", "lastseen-export-*")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	// Without a name the file goes with the process, also when the reader of standard output leaves and
	// SIGPIPE ends it. Some systems do not let go of the name of an open file.
	return &spool{file: file, named: os.Remove(file.Name()) != nil}, nil
}

// begin forgets the answer before.
func (s *spool) begin() (io.Writer, error) {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return s.file, s.file.Truncate(0)
}

func (s *spool) copyTo(w io.Writer) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, s.file)
	return err
}

func (s *spool) remove() {
	s.file.Close()
	if s.named {
		os.Remove(s.file.Name())
	}
}
