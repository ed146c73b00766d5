package server

import (
	"bytes"

	"lastseen/schema"
)

// plainPoll is what a poll asks. Its texts lie in the request's memory.
type plainPoll struct {
	session    schema.ID
	credential []byte
	tags       []byte // the value of If-None-Match, empty without one
}

var (
	plainPollStart = []byte("GET " + pathLastSeen + "?session_id=")
	plainPollEnd   = []byte(" HTTP/1.1\r\n")
	bearerPrefix   = []byte("Bearer ")
)

// parsePlainPoll reads a text that is one poll of last_seen, whole and nothing else, in the form in which
// nearly all clients send it: no parameter but the session, fields of one line each, and none that could
// change what the answer is or where the request ends. It reports false for all else.
func parsePlainPoll(request []byte) (poll plainPoll, plain bool) {
	rest, found := bytes.CutPrefix(request, plainPollStart)
	if !found {
		return poll, false
	}
	end := bytes.IndexByte(rest, ' ')
	if end < 0 {
		return poll, false
	}
	if poll.session, found = schema.ParseID(rest[:end]); !found {
		return poll, false
	}
	if rest, found = bytes.CutPrefix(rest[end:], plainPollEnd); !found {
		return poll, false
	}
	hasHost := false
	for {
		end := bytes.IndexByte(rest, '\n')
		if end < 1 || rest[end-1] != '\r' {
			return poll, false
		}
		line := rest[:end-1]
		rest = rest[end+1:]
		if len(line) == 0 {
			return poll, len(rest) == 0 && hasHost && len(poll.credential) > 0
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return poll, false
		}
		value := bytes.TrimLeft(line[colon+1:], " ")
		if !poll.take(line[:colon], value, &hasHost) {
			return poll, false
		}
	}
}

// take reads a field and reports whether it is one that a plain poll has.
func (p *plainPoll) take(name, value []byte, hasHost *bool) bool {
	if !isPlainText(value) {
		return false
	}
	switch string(name) {
	case "Authorization", "authorization":
		if p.credential != nil || !bytes.HasPrefix(value, bearerPrefix) {
			return false
		}
		p.credential = value[len(bearerPrefix):]
		return bytes.IndexByte(p.credential, ' ') < 0
	case "If-None-Match", "if-none-match":
		if p.tags != nil {
			return false
		}
		p.tags = value
		return len(value) > 0
	case "Host", "host":
		if *hasHost {
			return false
		}
		*hasHost = true
		return isPlainHost(value)
	case "Connection", "connection":
		return string(value) == "keep-alive"
	case "User-Agent", "user-agent", "Accept", "accept", "Accept-Encoding", "accept-encoding", "Accept-Language", "accept-language",
		"Cache-Control", "cache-control", "Pragma", "pragma", "Content-Type", "content-type", "Sec-Fetch-Mode", "sec-fetch-mode":
		return true
	}
	return isExtension(name) && !bytes.EqualFold(name, requestIDName)
}

var requestIDName = []byte(headerRequestID)

// isExtension reports whether a field's name begins with X-, as those that proxies and client libraries add.
// Of these only X-Request-Id has a say in an answer that is no refusal.
func isExtension(name []byte) bool {
	if len(name) < 3 || name[0]|0x20 != 'x' {
		return false
	}
	for _, c := range name {
		if c == '_' || !isWord(c) {
			return false
		}
	}
	return name[1] == '-'
}

// isPlainText reports whether a text is printable ASCII.
func isPlainText(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// isPlainHost reports whether a text is a name or an IPv4 address, with or without a port.
func isPlainHost(text []byte) bool {
	name, port, hasPort := bytes.Cut(text, []byte{':'})
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
	}
	for _, c := range name {
		if c != '.' && !isWord(c) {
			return false
		}
	}
	return len(name) > 0 && hasPort == (len(port) > 0)
}
