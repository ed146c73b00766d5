package schema

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"lastseen/schema/embedded"
	"lastseen/schema/health"
)

// Embedded is the value of Options.ClickHouse that runs the engine inside this process.
const Embedded = "embedded"

// Options says which ClickHouse to use and how to lay the tables out.
type Options struct {
	// ClickHouse is Embedded, or the address of a server's HTTP interface:
	// http://user:password@host:8123/database, https:// likewise, several hosts separated by commas.
	ClickHouse string
	// DataDir is where the embedded engine keeps its data; unused with a server.
	DataDir string
	// Database is the database's name, made if it is absent. An address that names one wins.
	// Letters, digits and underscores; empty means "lastseen".
	Database string
	// Existing says that the database must be there: it is not made.
	Existing bool
	// Cluster, when set, makes every table on each host of that cluster, with a Distributed table over
	// them.
	Cluster string
	// Replicated says whether the tables of a cluster are Replicated ones; nil means where the servers have
	// a Keeper and the macros shard and replica.
	Replicated *bool
	// NoFsync gives up the fsync after each insert: an acknowledged point then survives the death
	// of the process but not the loss of power.
	NoFsync bool
	// Retention is how long data points are kept after their timestamp, in whole days: Migrate makes
	// ClickHouse drop those that are older. 0 means for ever; at most LongestRetention.
	Retention time.Duration
	// DiskReserve is the free space of ClickHouse's disk below which data points are refused with
	// DiskFull, in bytes: Migrate sets it. 0 means that they are written while there is any.
	DiskReserve int64
	// Connections bounds the statements that run at the same time; 0 means 8.
	Connections int
	// Security says as whom to come to a server and how to know it.
	Security Security
	// Log gets what keeps ClickHouse from serving and that it is over, once each, and where Migrate finds that inserts are, or were,
	// not synced; nil for nowhere.
	Log *slog.Logger
}

// DB is an open ClickHouse with its layout: all tables, and what concerns them together. It is safe for concurrent use.
type DB struct {
	*connection
	PointTable
	CheckpointTable
	SessionTable
	DeviceTable
	KeyTable
	KeyUsageTable
	SpentTokenTable

	engine  *embedded.Engine    // nil with a server, and where the caller owns the engine
	hosts   []clusterHost       // where DDL is run host by host; see makeDatabase
	options *clickhouse.Options // of the connection
	log     *slog.Logger
}

// standardDatabase is the database of who names none. The engine's own would be another.
const standardDatabase = "lastseen"

var databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// Open connects to ClickHouse and makes the database if it is absent; Migrate then makes the tables.
// The embedded engine fails with embedded.ErrLocked when another process holds DataDir and with
// embedded.ErrNoEngine when its library is not there. Errors never carry the address's password.
func Open(ctx context.Context, options Options) (*DB, error) {
	if options.Connections <= 0 {
		options.Connections = 8
	}
	if options.ClickHouse == Embedded {
		dir := filepath.Join(options.DataDir, "clickhouse")
		engine, err := embedded.Open(dir, embedded.Options{Connections: options.Connections})
		if err != nil {
			return nil, fmt.Errorf("open the embedded engine: %w", err)
		}
		db, err := OpenOn(ctx, engine, options)
		if err != nil {
			return nil, errors.Join(err, engine.Close())
		}
		db.engine = engine
		db.ballast = keepBallast(dir, options.DiskReserve, options.Log)
		return db, nil
	}
	address, err := serverOptions(options.ClickHouse)
	if err != nil {
		return nil, err
	}
	if err := options.Security.apply(address); err != nil {
		return nil, err
	}
	if address.Auth.Database == "" {
		address.Auth.Database = options.Database
	}
	address.MaxOpenConns = options.Connections
	address.MaxIdleConns = options.Connections
	hosts := health.NewHosts(address.Addr, address.TLS)
	address.DialContext = hosts.Dial
	return open(ctx, address, hosts, options)
}

// OpenOn opens a database on an engine that the caller owns and closes; several databases may share
// one engine.
func OpenOn(ctx context.Context, engine *embedded.Engine, options Options) (*DB, error) {
	db, err := open(ctx, engine.ClientOptions(cmp.Or(options.Database, standardDatabase)), nil, options)
	if err != nil {
		return nil, err
	}
	db.ownEngine = true
	return db, nil
}

// serverOptions reads a server's address. Its errors leave the address out, since it may hold a password.
func serverOptions(address string) (*clickhouse.Options, error) {
	if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		return nil, errors.New(`the ClickHouse address must be "embedded" or begin with http:// or https://`)
	}
	if strings.HasPrefix(address, "https://") { // which the driver refuses unless it is told so twice
		separator := "?"
		if strings.Contains(address, "?") {
			separator = "&"
		}
		address += separator + "secure=true"
	}
	options, err := clickhouse.ParseDSN(address)
	if err != nil {
		var syntax *url.Error
		if errors.As(err, &syntax) {
			err = syntax.Err
		}
		return nil, fmt.Errorf("read the ClickHouse address (its text is left out, for it may hold a password): %w", err)
	}
	options.Protocol = clickhouse.HTTP
	options.DialTimeout = 5 * time.Second
	// Since 26.3 a server collects small inserts for up to 0.2 s by default. They are collected here, and what is on its way must be over when
	// its statement is.
	options.Settings = clickhouse.Settings{"async_insert": 0}
	return options, nil
}

// open makes the database and connects to it. servers are nil where there are none to dial.
func open(ctx context.Context, options *clickhouse.Options, servers *health.Hosts, layoutOptions Options) (*DB, error) {
	database := cmp.Or(options.Auth.Database, standardDatabase)
	if !databaseName.MatchString(database) {
		return nil, fmt.Errorf("the database name %q must consist of letters, digits and underscores", database)
	}
	layout, err := newLayout(layoutOptions)
	if err != nil {
		return nil, err
	}
	options.Logger = discardLog
	hosts, err := prepare(ctx, *options, database, &layout, layoutOptions.Existing, servers == nil)
	if err != nil {
		return nil, err
	}
	options.Auth.Database = database
	maps.Copy(options.Settings, layout.settings())
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a ClickHouse connection: %w", err), closeHosts(hosts))
	}
	revision, err := blockRevision(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close(), closeHosts(hosts))
	}
	counts := new(statementCounts)
	monitor := monitored(conn, servers, layout, layoutOptions.Log)
	counted := &countedConn{Conn: conn, counts: counts, monitor: monitor}
	if servers != nil {
		counted.retries = 1
		if len(options.Addr) > 1 {
			counted.retries += options.MaxOpenConns
		}
	}
	c := &connection{conn: counted, monitor: monitor, revision: revision, database: database, layout: layout, counts: counts}
	return &DB{
		connection: c, PointTable: PointTable{c}, CheckpointTable: CheckpointTable{c}, SessionTable: SessionTable{c},
		DeviceTable: DeviceTable{c}, KeyTable: KeyTable{c, newKeyCounts()}, KeyUsageTable: KeyUsageTable{c}, SpentTokenTable: SpentTokenTable{c}, hosts: hosts, options: options,
		log: cmp.Or(layoutOptions.Log, discardLog),
	}, nil
}

// discardLog takes the driver's debug log, which holds whole statements.
var discardLog = slog.New(slog.DiscardHandler)

// prepare makes the database over a connection to "default", which every server has, and finds out what
// the options leave open. Whoever comes to an engine in this process may do everything. See makeDatabase for what it returns.
func prepare(ctx context.Context, options clickhouse.Options, database string, layout *layout, existing, inProcess bool) (hosts []clusterHost, err error) {
	options.Auth.Database = "default"
	conn, err := clickhouse.Open(&options)
	if err != nil {
		return nil, fmt.Errorf("open a ClickHouse connection: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := requireVersion(conn); err != nil {
		return nil, err
	}
	if !existing && !inProcess {
		if err := requireRights(ctx, conn, layout.rights(database)); err != nil {
			return nil, err
		}
	}
	if layout.cluster != "" {
		if err := layout.find(ctx, conn); err != nil {
			return nil, err
		}
	}
	if existing && !hasDatabase(ctx, conn, database) {
		return nil, fmt.Errorf("ClickHouse has no database %s that the user may see: run lastseen serve with it once, or name another one", database)
	}
	hosts, err = makeDatabase(ctx, conn, &options, database, *layout)
	layout.hostByHost = hosts != nil
	return hosts, err
}

// Ping asks ClickHouse for a sign of life.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.conn.done(kindExec, db.conn.Conn.Exec(ctx, "SELECT 1")); err != nil {
		return fmt.Errorf("reach ClickHouse: %w", err)
	}
	return nil
}

// Database returns the name of the database that is in use.
func (db *DB) Database() string {
	return db.database
}

// Close closes the connections and, when Open started the engine, the engine. Callers must have
// stopped using the DB.
func (db *DB) Close() error {
	db.monitor.Close()
	db.ballast.close()
	err := errors.Join(db.conn.Close(), closeHosts(db.hosts))
	if db.engine != nil {
		err = errors.Join(err, db.engine.Close())
	}
	return err
}
