package embedded

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unsafe"
)

const defaultDatabase = "default"

// conn is one connection to the engine. It runs one statement at a time and
// is not safe for concurrent use: who takes it from the pool owns it.
type conn struct {
	lib    *library
	args   []string
	tag    string   // what the connection's statements are known by, see control
	handle *uintptr // nil until it is opened

	// What the engine's session holds, so that the next statement changes only
	// what differs. Settings that are not listed have their defaults.
	database string
	settings map[string]string
	dirty    bool // the session holds more than that and must not be used again, or there is none yet

	buf []byte // for data on their way in or out, made when it is first needed
}

// bufferSize is how much of an insert's data, or of a result that comes
// through a pipe, is moved at a time, in bytes.
const bufferSize = 256 << 10

func (c *conn) buffer() []byte {
	if c.buf == nil {
		c.buf = make([]byte, bufferSize)
	}
	return c.buf
}

// connect makes a connection; the first one starts the engine. The id is
// unique in the engine.
func connect(lib *library, args []string, id int) (*conn, error) {
	c := unopened(lib, args, id)
	if err := c.open(); err != nil {
		return nil, err
	}
	return c, nil
}

// unopened is a connection that is opened for its first statement.
func unopened(lib *library, args []string, id int) *conn {
	return &conn{lib: lib, args: args, tag: fmt.Sprintf("embedded connection %d", id), dirty: true}
}

func (c *conn) open() error {
	argv := newStrings(c.args)
	defer argv.free()
	handle := c.lib.connect(int32(len(c.args)), argv.first())
	if handle == nil {
		return errors.New("the ClickHouse engine did not start; it has written the reason to standard error")
	}
	c.handle, c.database, c.settings, c.dirty = handle, defaultDatabase, map[string]string{}, false
	return nil
}

func (c *conn) close() {
	if c.handle != nil {
		c.lib.closeConn(c.handle)
	}
}

// renew replaces the session by a new one if it is dirty. It takes a quarter
// of a millisecond. On failure the old one stays, and stays dirty.
func (c *conn) renew() error {
	if !c.dirty {
		return nil
	}
	old := *c
	if err := c.open(); err != nil {
		return err
	}
	old.close()
	return nil
}

// prepare gives the session the database and the settings of the statement
// that comes next, and takes back those of the one before.
func (c *conn) prepare(database string, settings map[string]string) error {
	if err := c.renew(); err != nil {
		return err
	}
	wanted := maps.Clone(settings)
	wanted["log_comment"] = strings.TrimPrefix(settings["log_comment"]+" "+c.tag, " ")
	err := c.change(database, wanted)
	if err == nil {
		return nil
	}
	// It may be the fault of the one before: some settings, such as readonly,
	// keep a session from being changed.
	c.dirty = true
	if renewErr := c.renew(); renewErr != nil {
		return renewErr
	}
	return c.change(database, wanted)
}

func (c *conn) change(database string, settings map[string]string) error {
	if database != c.database {
		if _, err := c.queryString("USE " + quoteIdentifier(database)); err != nil {
			return err
		}
		c.database = database
	}
	return c.apply(settings)
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// apply makes the session's settings those that are wanted, by one SET, which
// the engine applies as a whole or not at all.
func (c *conn) apply(wanted map[string]string) error {
	var changes []string
	for name := range c.settings {
		if _, keep := wanted[name]; !keep {
			changes = append(changes, name+" = DEFAULT")
		}
	}
	for name, value := range wanted {
		if current, set := c.settings[name]; set && current == value {
			continue
		}
		if !settingName.MatchString(name) {
			return unknownSetting(name)
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
	c.settings = wanted
	return nil
}

var escape = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "`", "\\`")

func quoteString(s string) string     { return "'" + escape.Replace(s) + "'" }
func quoteIdentifier(s string) string { return "`" + escape.Replace(s) + "`" }

// queryString runs a statement whose result is small and returns it as TSV.
func (c *conn) queryString(sql string) (string, error) {
	result, err := c.start(c.lib.query, sql, "TSV", nil)
	if err != nil {
		return "", err
	}
	defer c.lib.resultDestroy(result)
	return string(c.bytes(result)), nil
}

// start hands a statement to one of the engine's functions that return a
// result, which the caller must destroy.
func (c *conn) start(f startFunc, sql, format string, params map[string]string) (uintptr, error) {
	result := c.callWith(f, sql, format, params)
	if result == 0 {
		return 0, errors.New("the engine gave no result")
	}
	if err := c.resultError(result); err != nil {
		c.lib.resultDestroy(result)
		return 0, err
	}
	return result, nil
}

func (c *conn) callWith(f startFunc, sql, format string, params map[string]string) uintptr {
	names := slices.Collect(maps.Keys(params))
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = params[name]
	}
	texts, n, v := newStrings([]string{sql, format}), newStrings(names), newStrings(values)
	defer texts.free()
	defer n.free()
	defer v.free()
	return f(*c.handle, texts.address[0], texts.length[0], texts.address[1], texts.length[1],
		n.first(), n.lengths(), v.first(), v.lengths(), uintptr(len(names)))
}

func (c *conn) resultError(result uintptr) error {
	if text := c.lib.resultError(result); text != "" {
		return newException(text)
	}
	return nil
}

// bytes are a result's data, in the engine's memory: they die with it.
func (c *conn) bytes(result uintptr) []byte {
	return unsafe.Slice(c.lib.resultBuffer(result), c.lib.resultLength(result))
}

// classify asks the engine's parser how many statements sql holds, 0 if it
// does not parse, and of which class.
func (c *conn) classify(sql string) (statements int, class uint32) {
	text := newStrings([]string{sql})
	defer text.free()
	out := analysis{structSize: uint32(unsafe.Sizeof(analysis{}))}
	if c.lib.classify(*c.handle, text.address[0], text.length[0], nil, 0, &out) != 0 {
		return 0, classControl
	}
	return int(out.statements), out.class
}
