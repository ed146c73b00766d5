package embedded

import (
	"fmt"
	"io"
	"os"
	"runtime"
)

// pipe is a result that the engine writes, as one document, to what it takes
// for a file.
type pipe struct {
	lease *lease
	read  *os.File
	buf   []byte
	ended chan struct{} // closed when the engine has done with the statement
	err   error         // why it failed; set before ended is closed
}

func (l *lease) openPipe(sql, format string, params map[string]string) (source, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for the result: %w", err)
	}
	directory := "/dev/fd"
	if runtime.GOOS == "linux" {
		directory = "/proc/self/fd"
	}
	// The line break ends a comment that may stand last.
	into := fmt.Sprintf("%s\nINTO OUTFILE '%s/%d' TRUNCATE FORMAT %s", sql, directory, write.Fd(), format)
	if statements, _ := l.classify(into); statements != 1 {
		read.Close()
		write.Close()
		return l.openWhole(sql, format, params)
	}
	p := &pipe{lease: l, read: read, buf: l.buffer(), ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		// The engine has a descriptor of its own; the reader sees the end when
		// both are closed.
		defer write.Close()
		p.err = l.guard(func() error {
			result, err := l.start(l.lib.query, into, format, params)
			if err == nil {
				l.lib.resultDestroy(result)
			}
			return err
		})
	}()
	return p, nil
}

func (p *pipe) next() ([]byte, error) {
	n, err := p.read.Read(p.buf)
	if n > 0 {
		return p.buf[:n], nil
	}
	if err != io.EOF {
		return nil, fmt.Errorf("reading the result: %w", err)
	}
	<-p.ended
	if p.err != nil {
		return nil, p.err
	}
	return nil, io.EOF
}

func (p *pipe) close() {
	// The engine does not notice that it is to stop while it waits to write,
	// and a pipe that nobody reads any more would mean SIGPIPE on a thread of
	// its own. So the rest is read.
	p.lease.cancel(errAbandoned)
	_, _ = io.Copy(io.Discard, p.read)
	<-p.ended
	p.read.Close()
}
