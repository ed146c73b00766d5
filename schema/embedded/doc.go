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
package embedded
