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
	format   string
	database string
	params   map[string]string
	settings map[string]string
	data     io.Reader // the rows of an insert; nil for any other statement
}

// notSettings are the URL parameters of ClickHouse's HTTP interface that are
// no settings and say nothing to an engine in the same process.
var notSettings = map[string]bool{
	"query_id": true, "quota_key": true, "client_protocol_version": true, "wait_end_of_query": true,
	"buffer_size": true, "session_id": true, "session_timeout": true, "session_check": true,
	"user": true, "password": true, "role": true, "stacktrace": true,
}

// readStatement reads the request as ClickHouse's HTTP interface would.
func readStatement(req *http.Request) (*statement, error) {
	s := &statement{format: "TabSeparated", database: "default", params: map[string]string{}, settings: map[string]string{}}
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
		case key == "compress", key == "decompress":
			return nil, notImplemented("compression between a program and the engine inside it")
		case !notSettings[key]:
			s.settings[key] = value
		}
	}
	if req.Header.Get("Content-Encoding") != "" {
		return nil, notImplemented("compression between a program and the engine inside it")
	}
	if strings.HasPrefix(req.Header.Get("Content-Type"), "multipart/") {
		return nil, notImplemented("external tables")
	}
	if s.sql != "" {
		return s, s.readInsert(req.Body)
	}
	if req.Body != nil {
		text, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, fmt.Errorf("reading the statement: %w", err)
		}
		s.sql = string(text)
	}
	return s, nil
}

// insertFormat finds the clause that says in which format the data follow.
var insertFormat = regexp.MustCompile(`(?is)^\s*(INSERT\s+INTO\b.*?)\s+FORMAT\s+(\w+)\s*;?\s*$`)

// readInsert takes apart a statement that came as the query parameter: an
// insert whose data are the body.
func (s *statement) readInsert(body io.Reader) error {
	m := insertFormat.FindStringSubmatch(s.sql)
	if m == nil {
		return nil
	}
	s.sql, s.format = m[1], m[2]
	s.data = body
	if body == nil {
		s.data = http.NoBody
	}
	return nil
}

func notImplemented(what string) error {
	return &exception{code: codeNotImplemented, text: fmt.Sprintf("Code: %d. DB::Exception: The embedded engine has no %s. (NOT_IMPLEMENTED)", codeNotImplemented, what)}
}
