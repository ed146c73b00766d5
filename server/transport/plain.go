package transport

import "bytes"

// HeaderRequestID is the field by which a client names its request. A plain request has none.
const HeaderRequestID = "X-Request-Id"

// Plain is what a request in plain form asks. Its texts lie in the request's memory.
type Plain struct {
	Parameter  []byte // as it was sent, possibly empty: whoever uses it must refuse what would have to be decoded
	Credential []byte // of the scheme Bearer
	Tags       []byte // the value of If-None-Match, empty without one
	Forwarded  []byte // the value of X-Forwarded-For, nil without one
}

var (
	plainEnd     = []byte(" HTTP/1.1\r\n")
	bearerPrefix = []byte("Bearer ")
)

// Parse reads a text that is one request beginning with start, whole and nothing else, in the form in which
// nearly all clients send a poll: no parameter but the one whose name ends start, fields of one line each, and none that
// could change what the answer is or where the request ends. It reports false for all else.
func (p *Plain) Parse(request, start []byte) (ok bool) {
	*p = Plain{}
	rest, found := bytes.CutPrefix(request, start)
	if !found {
		return false
	}
	end := bytes.IndexByte(rest, ' ')
	if end < 0 {
		return false
	}
	p.Parameter = rest[:end]
	if rest, found = bytes.CutPrefix(rest[end:], plainEnd); !found {
		return false
	}
	hasHost := false
	for {
		end := bytes.IndexByte(rest, '\n')
		if end < 1 || rest[end-1] != '\r' {
			return false
		}
		line := rest[:end-1]
		rest = rest[end+1:]
		if len(line) == 0 {
			return len(rest) == 0 && hasHost && len(p.Credential) > 0
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return false
		}
		value := bytes.TrimLeft(line[colon+1:], " ")
		if !p.take(line[:colon], value, &hasHost) {
			return false
		}
	}
}

// take reads a field and reports whether it is one that a plain request has.
func (p *Plain) take(name, value []byte, hasHost *bool) bool {
	if !isPlainText(value) {
		return false
	}
	switch string(name) {
	case "Authorization", "authorization":
		if p.Credential != nil || !bytes.HasPrefix(value, bearerPrefix) {
			return false
		}
		p.Credential = value[len(bearerPrefix):]
		return bytes.IndexByte(p.Credential, ' ') < 0
	case "If-None-Match", "if-none-match":
		if p.Tags != nil {
			return false
		}
		p.Tags = value
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
	if !isExtension(name) || bytes.EqualFold(name, requestIDName) {
		return false
	}
	if bytes.EqualFold(name, forwardedName) {
		if p.Forwarded != nil {
			return false
		}
		p.Forwarded = value
	}
	return true
}

var requestIDName, forwardedName = []byte(HeaderRequestID), []byte("X-Forwarded-For")

// isExtension reports whether a field's name begins with X-, as those that proxies and client libraries add.
// Of these only X-Request-Id has a say in an answer that is no refusal; X-Forwarded-For may lead to one.
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

// isWord reports whether a character is a letter, a digit, a hyphen or an underscore.
func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-'
}
