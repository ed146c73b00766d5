// Package schema owns ClickHouse: opening a connection to the embedded engine or to a server, the
// versioned migrations, and every table, one Go file each, with its columns, DDL, inserts and
// selects. Nothing outside this package and its subpackages writes SQL.
//
//   - Opening: open.go, server_version.go, server_security.go, layout.go and cluster.go (one server or a cluster),
//     migrate.go, retention.go, disk_reserve.go, ballast*.go (room for revocations) and durability.go; damage.go finds what ClickHouse has lost, and
//     health.go connects package health, which knows whether ClickHouse serves, and writer_register.go package lease, which
//     knows who may write. For several nodes view_register.go is a register of package register, and doors.go keeps out what a deposed
//     one sends late.
//   - Tables: data_points*.go (the history and the ways to read it), last_seen.go (the checkpoint), sessions*.go,
//     devices.go, api_keys.go, api_key_events.go, spent_tokens.go. connection.go has a type for each, and DB is all of
//     them.
//   - Statements: statements.go (counted, and tried again), rows.go, native.go (columns as ClickHouse sends them),
//     one_row.go, sets.go (many values to look for), insert_pool.go.
//   - What all packages above speak: id.go, data_point.go, timestamp*.go, viewer.go, paging.go, and error.go, the one
//     vocabulary of errors.
package schema
