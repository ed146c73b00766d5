package dataset

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema"
	"lastseen/schema/embedded"
)

// Database is the database that Load fills in an embedded engine, which is the service's default.
const Database = "lastseen"

// Store says where a data set lies.
type Store struct {
	// DataDir is a data directory of a service with the embedded engine. Nobody else has it open.
	DataDir string
	// ClickHouse is the address of a server with the database's name, as the service takes it; empty for
	// the embedded engine.
	ClickHouse string
}

// Opened is an open store. It is safe for concurrent use.
type Opened struct {
	DB   *schema.DB
	Conn driver.Conn

	engine *embedded.Engine // nil on a server
}

// Open opens a store with at most so many statements at a time. The caller closes it.
func (s Store) Open(ctx context.Context, connections int) (*Opened, error) {
	if s.ClickHouse != "" {
		return s.openServer(ctx, connections)
	}
	engine, err := embedded.Open(filepath.Join(s.DataDir, "clickhouse"), embedded.Options{Connections: connections})
	if err != nil {
		return nil, fmt.Errorf("open the data directory %s: %w", s.DataDir, err)
	}
	o, err := OpenOn(ctx, engine)
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	o.engine = engine
	return o, nil
}

// OpenOn opens the database of an engine that the caller owns and closes.
func OpenOn(ctx context.Context, engine *embedded.Engine) (*Opened, error) {
	db, err := schema.OpenOn(ctx, engine, schema.Options{Database: Database})
	if err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(engine.ClientOptions(Database))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the engine: %w", err), db.Close())
	}
	return &Opened{DB: db, Conn: conn}, nil
}

func (s Store) openServer(ctx context.Context, connections int) (*Opened, error) {
	db, err := schema.Open(ctx, schema.Options{ClickHouse: s.ClickHouse, Connections: connections})
	if err != nil {
		return nil, err
	}
	options, err := clickhouse.ParseDSN(s.ClickHouse)
	if err != nil {
		return nil, errors.Join(errors.New("the address of the ClickHouse server cannot be read"), db.Close()) // it may hold a password
	}
	options.Protocol, options.MaxOpenConns, options.ReadTimeout = clickhouse.HTTP, connections, 10*time.Minute
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the ClickHouse server: %w", err), db.Close())
	}
	return &Opened{DB: db, Conn: conn}, nil
}

// Close closes the connections and the engine.
func (o *Opened) Close() error {
	err := errors.Join(o.Conn.Close(), o.DB.Close())
	if o.engine != nil {
		err = errors.Join(err, o.engine.Close())
	}
	return err
}
