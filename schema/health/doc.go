// Package health knows whether ClickHouse serves: it asks it regularly and after a statement that failed,
// ends the connections to a host that has gone silent, so that nobody waits for it, and tells the log
// once what is wrong and once that it is over.
package health
