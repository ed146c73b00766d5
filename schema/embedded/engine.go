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
	// statements that run in parallel; more wait in line. 0 means
	// DefaultConnections.
	Connections int
}

// Engine is a running ClickHouse engine. It is safe for concurrent use.
type Engine struct {
	lib   *library
	lock  *dirLock
	hello []byte

	size int
	idle chan *conn // receivers are served in the order in which they came

	stop      context.Context // ends when Close is called
	stopCause context.CancelCauseFunc
	closeOnce sync.Once
	closeErr  error
}

var _ http.RoundTripper = (*Engine)(nil)

// opened guards the rule of one Engine per process: libchdb has one engine
// however many connections are made.
var opened sync.Mutex

// Open starts the engine on dir, which it makes if it is absent. The process
// holds the directory until Close.
//
// A process can have one Engine at a time: Open fails while another is open.
// The error matches [ErrNoEngine] when libchdb is not there and [ErrLocked]
// when another process holds the directory.
func Open(dir string, options Options) (*Engine, error) {
	if options.Connections < 0 {
		return nil, fmt.Errorf("the number of engine connections is %d: it must be 0 or more", options.Connections)
	}
	if options.Connections == 0 {
		options.Connections = DefaultConnections
	}
	lib, err := loadLibrary()
	if err != nil {
		return nil, err
	}
	if !opened.TryLock() {
		return nil, errors.New("an embedded ClickHouse engine is already open in this process: close it before opening another")
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
	e := &Engine{lib: lib, lock: lock, size: options.Connections, idle: make(chan *conn, options.Connections)}
	e.stop, e.stopCause = context.WithCancelCause(context.Background())
	for range options.Connections {
		c, err := connect(lib, dir)
		if err != nil {
			return nil, errors.Join(err, e.shutdown(len(e.idle)))
		}
		e.idle <- c
	}
	if err := e.prepareHello(); err != nil {
		return nil, errors.Join(err, e.shutdown(e.size))
	}
	return e, nil
}

// prepareHello asks the engine once what clickhouse-go asks on every connect.
func (e *Engine) prepareHello() error {
	c := <-e.idle
	defer func() { e.idle <- c }()
	line, err := c.queryString("SELECT version(), timezone()")
	if err != nil {
		return fmt.Errorf("asking the engine for its version: %w", err)
	}
	version, zone, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
	e.hello, err = encodeHello(version, zone)
	return err
}

// ClientOptions returns options for clickhouse.Open that use e, with database
// as the default. A database name that is empty means "default". Each call
// returns a new value, which the caller may change.
func (e *Engine) ClientOptions(database string) *clickhouse.Options {
	if database == "" {
		database = "default"
	}
	return &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		// Nothing is dialled: the address only has to look like one.
		Addr:          []string{"embedded.invalid:0"},
		Auth:          clickhouse.Auth{Database: database},
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) { return e, nil },
		MaxOpenConns:  e.size,
		MaxIdleConns:  e.size,
	}
}

// Close cancels the statements that are running, waits for them, stops the
// engine and gives the directory free. Requests that wait or come later fail
// with ErrClosed. It may be called more than once.
func (e *Engine) Close() error {
	e.closeOnce.Do(func() {
		e.stopCause(ErrClosed)
		e.closeErr = e.shutdown(e.size)
		opened.Unlock()
	})
	return e.closeErr
}

// shutdown closes n connections as they become idle, then frees the directory.
func (e *Engine) shutdown(n int) error {
	for range n {
		c := <-e.idle
		c.close()
	}
	return e.lock.release()
}

// acquire waits for an idle connection until ctx ends or e is closed.
func (e *Engine) acquire(ctx context.Context) (*conn, error) {
	if err := e.stop.Err(); err != nil {
		return nil, ErrClosed
	}
	select {
	case c := <-e.idle:
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-e.stop.Done():
		return nil, ErrClosed
	}
}

func (e *Engine) release(c *conn) { e.idle <- c }
