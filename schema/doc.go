// Package schema owns ClickHouse: opening a connection to the embedded engine or to a server, the
// versioned migrations, and every table, one Go file each, with its columns, DDL, inserts and
// selects. Nothing outside this package and its subpackages writes SQL.
package schema
