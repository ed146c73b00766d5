// Package schema owns ClickHouse: opening a connection to the embedded engine or to a server, the
// versioned migrations, and every table, one Go file each, with its columns, DDL, inserts and
// selects. Nothing outside this package and its subpackages writes SQL.
//
//   - Opening: open.go, server_version.go, layout.go (one server or a cluster), migrate.go, retention.go, disk_reserve.go,
//     durability.go and damage.go.
//   - Tables: data_points*.go (the history and the ways to read it), last_seen.go (the checkpoint), sessions*.go, devices.go,
//     api_keys.go, api_key_events.go. DB is the handle of all of them.
//   - Statements: statements.go, rows.go, native.go (columns as ClickHouse sends them), insert_pool.go.
//   - What all packages above speak: id.go, data_point.go, timestamp.go, and error.go, the one vocabulary of errors.
package schema
