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
