// Package baseline is what the load suite and the program of the baselines say to each other. The program
// is a Go module of its own, bench/baselines, so that what only the comparison needs is in no service's
// binary: the bare HTTP server that marks the ceiling, the service that one would write in an afternoon,
// PostgreSQL behind the same HTTP library, and the loader of data sets.
package baseline

import "lastseen/bench/dataset"

// Program is the name of the program's file.
const Program = "lastseen-baselines"

// The names of what lastseen is compared with.
const (
	Bare     = "bare"     // a constant answer
	Redis    = "redis"    // redis-server itself
	Postgres = "postgres" // PostgreSQL with an index, through pgx
	Naive    = "naive"    // ClickHouse asked for every request
)

// Names are all of them, in the order in which they are shown.
var Names = []string{Bare, Redis, Postgres, Naive}

// The program's tasks: its first argument. The second one names a file that holds a Config as JSON, and is
// missing for Versions.
const (
	Serve     = "serve"      // a baseline, until a signal
	Load      = "load"       // a data set
	FillRedis = "fill-redis" // with finished answers
	Size      = "size"       // what a store's points take on the disk
	HandOut   = "hand-out"   // how long ClickHouse alone takes to hand out what a start of the service reads
	Versions  = "versions"   // prints those of the libraries
)

// Columns are those of a data point that the plain ways read and write, and SelectRange reads them of a session
// between two times, with the parameters session, start and end (Unix milliseconds).
const (
	Columns     = "session_id, timestamp, received_at, latitude, longitude, altitude, accuracy, speed, heading, temperature, battery, outlier, version"
	SelectRange = "SELECT " + Columns + ` FROM session_by_device_data_points
WHERE session_id = {session:String}
  AND timestamp >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
ORDER BY session_id, timestamp`
	// SelectAll reads the points of an organisation, with the parameter org, as they come; with ByArrival after it in
	// the order of their arrival.
	SelectAll = "SELECT " + Columns + " FROM session_by_device_data_points WHERE org_id = {org:String}"
	ByArrival = " ORDER BY received_at, session_id, timestamp"
)

// The paths at which Postgres answers about sessions as lastseen does; the parameter org says whose.
const (
	PathList      = "/tracking/sessions/list/v1"
	PathTypeahead = "/tracking/sessions/typeahead/v1"
)

// Config says what a task does.
type Config struct {
	// Name is the baseline to serve, and Address (host:port) where.
	Name, Address string
	// Dataset is what is loaded.
	Dataset dataset.Spec
	// Store is the ClickHouse of Naive, Load, Size and HandOut.
	Store dataset.Store
	// Loaded says that Naive finds its data set in the store.
	Loaded bool
	// PostgresURL is where PostgreSQL listens, for Postgres and, unless it is empty, for Size.
	PostgresURL string
	// RedisAddress is where Redis listens, for FillRedis.
	RedisAddress string
	// Keys are the keys of each organisation that Naive checks.
	Keys [][]string
	// Constant is what Bare answers.
	Constant Constant
	// Result is the file that Size writes a Sizes to, and HandOut a HandedOut, as JSON.
	Result string
}

// Constant is an answer copied from lastseen, so that the ceiling carries the same bytes.
type Constant struct {
	ContentType string
	// Headers are the other header fields, name and value in turn.
	Headers []string
	Body    []byte
}

// Inserted is what Naive's loop of plain batch inserts achieved.
type Inserted struct {
	Rows    int
	Seconds float64
	// P50 and P99 are of the time of one insert, from preparing the batch to ClickHouse's answer, nanoseconds.
	P50, P99 int64
}

// HandedOut is what ClickHouse alone took to hand out the rows that a start of the service reads, in its Native format to a
// reader that discards them, one statement after the other.
type HandedOut struct {
	// Seconds are those of each time, the first one after the engine was opened. Opening it does not count.
	Seconds []float64
	Bytes   int64 // of one time
}

// Sizes are what points take on the disk.
type Sizes struct {
	Points int64
	// Bytes are all of the table's, with marks and index.
	Bytes int64
	// Columns are those of ClickHouse, the largest first.
	Columns []Column
	// PostgresTable and PostgresIndex are the bytes of the same points there; 0 where it was not asked.
	PostgresTable, PostgresIndex int64
}

// Column is what one column takes on the disk.
type Column struct {
	Name  string
	Bytes int64
}
