// Package health knows whether ClickHouse serves: it asks a server regularly, and a server or the engine in
// the process after a statement that failed; it ends the connections to a host that has gone silent, so that
// nobody waits for it, and tells the log once what is wrong and once that it is over.
package health
