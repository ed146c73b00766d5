package transport

import "bytes"

// WellFormed reports whether the lines of a request's header end in CRLF, each, and none continues the one before
// (RFC 9112, sections 2.2 and 5.2).
func WellFormed(header []byte) bool {
	for at := 0; ; {
		i := bytes.IndexByte(header[at:], '\n')
		if i < 0 {
			return true
		}
		end := at + i
		if end == 0 || header[end-1] != '\r' {
			return false
		}
		at = end + 1
		if at < len(header) && (header[at] == ' ' || header[at] == '\t') {
			return false
		}
	}
}

// requestLine watches for how the line ends with which a request begins: a general server takes a bare LF, and says
// nothing of it.
type requestLine struct {
	through bool // the line has ended
	bare    bool // by a bare LF, or an empty line before it has
	length  int  // of the line so far
	last    byte // of the line so far
}

// add looks at what has arrived.
func (l *requestLine) add(arrived []byte) {
	for !l.through && len(arrived) > 0 {
		end := bytes.IndexByte(arrived, '\n')
		if end < 0 {
			l.length, l.last = l.length+len(arrived), arrived[len(arrived)-1]
			return
		}
		if end > 0 {
			l.length, l.last = l.length+end, arrived[end-1]
		}
		l.bare = l.last != '\r'
		l.through = l.bare || l.length > 1 // empty lines may come before
		l.length, l.last = 0, 0
		arrived = arrived[end+1:]
	}
}
