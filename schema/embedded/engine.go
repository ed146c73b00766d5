package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// DefaultConnections is the number of statements that an Engine runs in
// parallel unless Options say otherwise.
const DefaultConnections = 8

// ErrClosed is returned for requests to an Engine that was closed.
var ErrClosed = errors.New("the embedded ClickHouse engine is closed")

// Options tune an Engine. The zero value is good.
type Options struct {
	// Connections is the number of engine connections, which is the number of
	// statements that run in parallel; more wait in line, first come first
	// served. 0 means DefaultConnections.
	Connections int
	// MaxMemory is how much memory the engine may use, in bytes, caches and
	// background merges included; a statement that would need more fails with
	// MEMORY_LIMIT_EXCEEDED (241). 0 means half of the machine's memory.
	MaxMemory int64
}

// Engine is a running ClickHouse engine. It is safe for concurrent use.
type Engine struct {
	hello []byte
	lock  *dirLock

	size    int
	idle    chan *conn // receivers are served in the order in which they came
	control *control

	stop      context.Context // ends when Close is called
	stopCause context.CancelCauseFunc
	close     func() error
}

var _ http.RoundTripper = (*Engine)(nil)

// opened is locked while an Engine is open: libchdb has one engine in a
// process, however many connections are made to it.
var opened sync.Mutex

// Open starts the engine on dir, which it makes if it is absent. The process
// holds the directory until Close.
//
// A process can have one Engine at a time: Open fails while another is open.
// Nothing else may change signal handlers (signal.Notify) while Open runs.
// What the engine has to say goes to LogName in dir.
// After Close another can be opened, on the same directory or another; each
// time costs some hundred KB that libchdb does not give back, so do not make
// a habit of it. The error matches [ErrNoEngine] when libchdb is not there
// and [ErrLocked] when another process holds the directory.
func Open(dir string, options Options) (*Engine, error) {
	if options.Connections < 0 || options.MaxMemory < 0 {
		return nil, fmt.Errorf("opening the engine with %d connections and %d bytes of memory: neither may be negative",
			options.Connections, options.MaxMemory)
	}
	if options.Connections == 0 {
		options.Connections = DefaultConnections
	}
	lib, err := loadLibrary()
	if err != nil {
		return nil, err
	}
	if !opened.TryLock() {
		return nil, errors.New("opening the engine: one is open in this process already; close it first")
	}
	e, err := start(lib, dir, options)
	if err != nil {
		opened.Unlock()
		return nil, err
	}
	return e, nil
}

func start(lib *library, dir string, options Options) (*Engine, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the data directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	e := &Engine{lock: lock, size: options.Connections, idle: make(chan *conn, options.Connections)}
	e.stop, e.stopCause = context.WithCancelCause(context.Background())
	e.close = sync.OnceValue(func() error {
		defer opened.Unlock()
		return e.shutdown()
	})
	args := engineArguments(dir, options)
	lib.setSignalHandlers(0)
	var first *conn
	keepNotice(func() { keepSignalHandlers(func() { first, err = connect(lib, args, 0) }) })
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	e.control = &control{conn: first}
	for id := range options.Connections { // opening dozens takes longer than a start should wait
		e.idle <- unopened(lib, args, id+1)
	}
	if e.hello, err = hello(first); err != nil {
		return nil, errors.Join(err, e.shutdown())
	}
	return e, nil
}

// ClientOptions returns options for clickhouse.Open that use e, with database
// as the default; an empty name means "default". The client opens as many
// connections as the engine has. Each call returns a new value, which the
// caller may change before using it.
func (e *Engine) ClientOptions(database string) *clickhouse.Options {
	if database == "" {
		database = defaultDatabase
	}
	return &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		// Nothing is dialled: the address only has to look like one.
		Addr:          []string{"embedded.invalid:8123"},
		Auth:          clickhouse.Auth{Database: database},
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) { return e, nil },
		MaxOpenConns:  e.size,
		MaxIdleConns:  e.size,
		// The engine takes no notice of it. It has the client not look for
		// exceptions in what it reads, which copies all of it twice: here a
		// body ends with the error itself.
		Settings: clickhouse.Settings{"wait_end_of_query": 1},
	}
}

// Close cancels the statements that are running, waits for them, stops the
// engine and gives the directory free. Requests that wait or come later, and
// the bodies of responses that were not read to the end, fail with ErrClosed.
// It may be called more than once.
func (e *Engine) Close() error {
	e.stopCause(ErrClosed)
	return e.close()
}

// shutdown closes n connections, each when it is idle, then the last one,
// which stops the engine.
func (e *Engine) shutdown() error {
	for range e.size {
		(<-e.idle).close()
	}
	e.control.close()
	return e.lock.release()
}

// hello asks the engine once what clickhouse-go asks on every connect.
func hello(c *conn) ([]byte, error) {
	line, err := c.queryString("SELECT version(), timezone()")
	if err != nil {
		return nil, fmt.Errorf("asking the engine for its version: %w", err)
	}
	version, zone, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
	return encodeHello(version, zone)
}
