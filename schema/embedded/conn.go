package embedded

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unsafe"
)

// conn is one connection to the engine. It runs one statement at a time and
// is not safe for concurrent use: who takes it from the pool owns it.
type conn struct {
	lib    *library
	handle *uintptr

	// What the engine's session holds now, so that the next statement changes
	// only what differs. Settings that are not listed have their defaults.
	database string
	settings map[string]string
}

func connect(lib *library, dir string) (*conn, error) {
	args := []string{"lastseen", "--path=" + dir}
	argv := make([]*byte, len(args)+1)
	var pinner runtime.Pinner
	defer pinner.Unpin()
	for i, arg := range args {
		argv[i] = unsafe.StringData(arg + "\x00")
		pinner.Pin(argv[i])
	}
	pinner.Pin(&argv[0])
	var handle *uintptr
	keepSignalHandlers(func() {
		lib.setSignalHandlers(0)
		handle = lib.connect(int32(len(args)), &argv[0])
	})
	if handle == nil {
		return nil, fmt.Errorf("the ClickHouse engine did not start on %s", dir)
	}
	return &conn{lib: lib, handle: handle, database: "default", settings: map[string]string{}}, nil
}

func (c *conn) close() {
	keepSignalHandlers(func() { c.lib.closeConn(c.handle) })
}

// queryString runs a statement whose result is small and returns it as TSV.
func (c *conn) queryString(sql string) (string, error) {
	const format = "TSV"
	result := c.lib.query(*c.handle, unsafe.StringData(sql), uintptr(len(sql)), unsafe.StringData(format), uintptr(len(format)))
	defer c.lib.resultDestroy(result)
	if text := c.lib.resultError(result); text != "" {
		return "", newException(text)
	}
	return strings.Clone(unsafe.String(c.lib.resultBuffer(result), c.lib.resultLength(result))), nil
}

// prepare gives the session the database and the settings of the statement
// that comes next, and takes back those of the one before.
func (c *conn) prepare(database string, settings map[string]string) error {
	if database != c.database {
		if _, err := c.queryString("USE " + quoteIdentifier(database)); err != nil {
			return err
		}
		c.database = database
	}
	return c.applySettings(settings)
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (c *conn) applySettings(settings map[string]string) error {
	var changes []string
	for name := range c.settings {
		if _, keep := settings[name]; !keep {
			changes = append(changes, name+" = DEFAULT")
		}
	}
	for name, value := range settings {
		if current, set := c.settings[name]; set && current == value {
			continue
		}
		if !settingName.MatchString(name) {
			return &exception{code: codeUnknownSetting, text: fmt.Sprintf("Code: %d. DB::Exception: %q is not a setting. (UNKNOWN_SETTING)", codeUnknownSetting, name)}
		}
		changes = append(changes, name+" = "+quoteString(value))
	}
	if len(changes) == 0 {
		return nil
	}
	slices.Sort(changes)
	if _, err := c.queryString("SET " + strings.Join(changes, ", ")); err != nil {
		return err
	}
	c.settings = maps.Clone(settings)
	return nil
}

var literalEscaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "`", "\\`")

func quoteString(s string) string     { return "'" + literalEscaper.Replace(s) + "'" }
func quoteIdentifier(s string) string { return "`" + literalEscaper.Replace(s) + "`" }

// parameters are bound values in the form that libchdb takes: parallel arrays
// of addresses and lengths. The strings stay where they are; pin keeps them.
type parameters struct {
	names, values       []*byte
	nameLens, valueLens []uintptr
	pinner              runtime.Pinner
}

func newParameters(bound map[string]string) *parameters {
	p := new(parameters)
	for name, value := range bound {
		p.names = append(p.names, p.pin(name))
		p.nameLens = append(p.nameLens, uintptr(len(name)))
		p.values = append(p.values, p.pin(value))
		p.valueLens = append(p.valueLens, uintptr(len(value)))
	}
	if len(bound) > 0 {
		p.pinner.Pin(&p.names[0])
		p.pinner.Pin(&p.values[0])
	}
	return p
}

// pin returns the address of a copy of s that stays in place.
func (p *parameters) pin(s string) *byte {
	b := make([]byte, len(s)+1)
	copy(b, s)
	p.pinner.Pin(&b[0])
	return &b[0]
}

func first[T any](s []T) *T {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

// streamable tells, from its first word, whether a statement may be a SELECT.
var streamable = regexp.MustCompile(`(?is)^(\s+|--[^\n]*\n|#[^\n]*\n|/\*.*?\*/)*(\(|SELECT\b|WITH\b|FROM\b)`)

// notStreamable is how the engine refuses to stream a statement that is no
// SELECT. It does so before anything runs.
const notStreamable = "Streaming query is not supported for query"

// startQuery begins a statement whose result is then fetched chunk by chunk.
// The engine streams SELECT only; other statements have small results or none
// and have run to their end when startQuery returns.
func (c *conn) startQuery(s *statement) (*stream, error) {
	if streamable.MatchString(s.sql) {
		st, err := c.call(c.lib.streamQuery, s)
		if err == nil || !strings.Contains(err.Error(), notStreamable) {
			return st, err
		}
	}
	st, err := c.call(c.lib.queryParams, s)
	if err != nil {
		return nil, err
	}
	st.handle, st.chunk, st.whole = 0, st.handle, true
	return st, nil
}

type queryFunc = func(conn uintptr, sql *byte, n uintptr, format *byte, formatLen uintptr,
	names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) uintptr

func (c *conn) call(f queryFunc, s *statement) (*stream, error) {
	p := newParameters(s.params)
	defer p.pinner.Unpin()
	handle := f(*c.handle, unsafe.StringData(s.sql), uintptr(len(s.sql)),
		unsafe.StringData(s.format), uintptr(len(s.format)),
		first(p.names), first(p.nameLens), first(p.values), first(p.valueLens), uintptr(len(p.names)))
	if handle == 0 {
		return nil, errors.New("the engine did not start the statement")
	}
	if text := c.lib.resultError(handle); text != "" {
		c.lib.resultDestroy(handle)
		return nil, newException(text)
	}
	return &stream{conn: c, handle: handle}, nil
}

// stream is the result of a statement that is running.
type stream struct {
	conn   *conn
	handle uintptr
	chunk  uintptr
	whole  bool // the result is all in chunk
	ended  bool
}

// next returns the next chunk of the result, which lives in the engine's
// memory until the following call, or nil at the end.
func (s *stream) next() ([]byte, error) {
	lib := s.conn.lib
	if s.whole {
		s.whole, s.ended = false, true
		return unsafe.Slice(lib.resultBuffer(s.chunk), lib.resultLength(s.chunk)), nil
	}
	s.freeChunk()
	if s.ended {
		return nil, nil
	}
	s.chunk = lib.streamFetch(*s.conn.handle, s.handle)
	if s.chunk == 0 {
		s.ended = true
		return nil, errors.New("the engine gave no result")
	}
	if text := lib.resultError(s.chunk); text != "" {
		s.ended = true
		return nil, newException(text)
	}
	n := lib.resultLength(s.chunk)
	if n == 0 {
		s.ended = true
		return nil, nil
	}
	return unsafe.Slice(lib.resultBuffer(s.chunk), n), nil
}

func (s *stream) freeChunk() {
	if s.chunk != 0 {
		s.conn.lib.resultDestroy(s.chunk)
		s.chunk = 0
	}
}

// close ends the statement, whether or not its result has been read.
func (s *stream) close() {
	s.freeChunk()
	if !s.ended {
		s.conn.lib.streamCancel(*s.conn.handle, s.handle)
		s.ended = true
	}
	if s.handle != 0 {
		s.conn.lib.resultDestroy(s.handle)
	}
}
