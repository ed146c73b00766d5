package schema

import (
	"sync/atomic"

	"lastseen/schema/health"
)

// connection is what the tables work with. It is safe for concurrent use.
type connection struct {
	conn *countedConn
	// ownEngine is true on the engine that comes with us, whose version is known.
	ownEngine bool
	database  string
	layout    layout
	revision  int // see blockRevision
	counts    *statementCounts
	monitor   *health.Monitor
	ballast   *ballast // nil but for the embedded engine that Open has started

	doors atomic.Uint64 // the epoch through whose doors rows are inserted; 0 for straight into the tables

	pointInserts      insertPool[pointColumns]
	checkpointInserts insertPool[checkpointColumns]
}

// The tables, each with the statements that read and write it. They are safe for concurrent use.
type (
	// PointTable is the history: session_by_device_data_points.
	PointTable struct{ *connection }
	// CheckpointTable is what was last known of the newest points: session_by_device_last_seen.
	CheckpointTable struct{ *connection }
	// SessionTable is the table sessions.
	SessionTable struct{ *connection }
	// DeviceTable is the table devices.
	DeviceTable struct{ *connection }
	// KeyTable is the tables api_keys, api_key_ids, api_key_events and api_key_counts.
	KeyTable struct {
		*connection
		tally *keyCounts
	}
	// KeyUsageTable is the table api_key_usage.
	KeyUsageTable struct{ *connection }
	// SpentTokenTable is the table spent_tokens.
	SpentTokenTable struct{ *connection }
)
