// Package embedded runs the ClickHouse engine inside this process.
//
// libchdb, the ClickHouse engine built as a shared library, is loaded without
// cgo. An [Engine] is an [net/http.RoundTripper]: clickhouse-go speaks its
// HTTP protocol to it through Options.TransportFunc, so the code above cannot
// tell the embedded engine from a server, and no port is opened.
//
//	engine, err := embedded.Open("/var/lib/lastseen", embedded.Options{})
//	…
//	conn, err := clickhouse.Open(engine.ClientOptions("default"))
//
// A process can have one Engine at a time; a data directory can be open in one
// process at a time.
//
// # Statements
//
// Every request stands alone, as on a server without sessions: its database,
// its settings, SET, USE and temporary tables reach no other. One request is
// one statement. Parameters bound by clickhouse.Named may hold any text; the
// values of clickhouse.WithParameters are in ClickHouse's escaped form and
// must have no bare tab, line break or backslash.
//
// SELECT is streamed in every format and in bounded memory. The results of
// other statements (SHOW, DESCRIBE, EXPLAIN) are held whole, as is that of a
// SELECT with a FORMAT clause and comments in one text.
//
// An insert that fails, or whose data end early, writes nothing, if its data
// are one block that goes to one partition; a longer one may leave whole
// blocks, as on a server. After the error nothing more of it is written.
// A block is one Native block (what a batch of clickhouse-go is), or up to
// 1,048,576 rows or 256 MB of another format.
//
// # Memory
//
// The engine starts with about 250 MB. Its caches are bounded to some 300 MB
// together, and all of it by Options.MaxMemory. Each insert adds 10 to 15 KB
// until the part that it made has been merged away and then forgotten, which
// takes up to eight minutes (old_parts_lifetime): frequent small inserts show
// as memory that rises for that long, and then stays level.
//
// # Giving up
//
// A statement ends when its request's context ends: at once while it waits for
// a connection, and otherwise when the engine next looks, which is between two
// blocks of data. Some steps have no such point: a mutation or merge that was
// asked for, the encoding of a Parquet row group, a data reader that blocks
// and does not return when it is closed. Until the step is over the connection
// stays in use and RoundTrip or Close does not return. Whether an insert that
// was given up has been written is then not known, unless it was still being
// fed.
package embedded
