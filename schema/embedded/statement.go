package embedded

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// statement is what a request asks for.
type statement struct {
	sql      string
	format   string // of the result, or of an insert's data
	database string
	params   map[string]string
	settings map[string]string
	data     io.ReadCloser // an insert's data; nil for any other statement
}

// notSettings are the URL parameters of ClickHouse's HTTP interface that are
// no settings and mean nothing to an engine in the same process.
var notSettings = map[string]bool{
	"query_id": true, "quota_key": true, "client_protocol_version": true, "wait_end_of_query": true,
	"buffer_size": true, "session_id": true, "session_timeout": true, "session_check": true,
	"user": true, "password": true, "role": true, "stacktrace": true, "enable_http_compression": true,
}

// readStatement reads a request as ClickHouse's HTTP interface would.
func readStatement(req *http.Request) (*statement, error) {
	if req.Header.Get("Content-Encoding") != "" {
		return nil, notImplemented("compressed requests")
	}
	s := &statement{format: "TabSeparated", database: defaultDatabase, params: map[string]string{}, settings: map[string]string{}}
	for key, values := range req.URL.Query() {
		value := values[len(values)-1]
		switch {
		case key == "query":
			s.sql = value
		case key == "database":
			s.database = value
		case key == "default_format":
			s.format = value
		case strings.HasPrefix(key, "param_"):
			s.params[strings.TrimPrefix(key, "param_")] = value
		case key == "compress" || key == "decompress":
			if value != "0" {
				return nil, notImplemented("compression")
			}
		case !notSettings[key]:
			s.settings[key] = value
		}
	}
	if isForm(req) {
		return s, s.readForm(req)
	}
	return s, s.readBody(req.Body)
}

// insertHead is an insert whose data come after it.
var insertHead = regexp.MustCompile(`(?is)^\s*(INSERT\b.*?)\s+FORMAT\s+(\w+)\s*;?\s*$`)

// readBody takes the body as the data of an insert that stands in the URL,
// and otherwise as the statement's text, or the rest of it.
func (s *statement) readBody(body io.ReadCloser) error {
	if body == nil {
		body = http.NoBody
	}
	if m := insertHead.FindStringSubmatch(s.sql); m != nil {
		s.sql, s.format, s.data = m[1], m[2], body
		return nil
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("reading the statement: %w", err)
	}
	if s.sql != "" && len(text) > 0 {
		s.sql += "\n"
	}
	s.sql += string(text)
	return nil
}
