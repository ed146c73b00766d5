package schema

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// ReadsAtStart returns the statements whose rows a start keeps in memory: every device, session and checkpoint. They are
// here for who measures how long ClickHouse alone takes to hand these out.
func ReadsAtStart() []string { return []string{selectDevices, selectSessions, selectCheckpoints} }

// readingAll has ClickHouse read with one thread for each of these statements: they run side by side, and what is done with their rows
// takes longer than reading them, so that more threads would take processors from that.
func readingAll(ctx context.Context) context.Context {
	return withSettings(ctx, clickhouse.Settings{"max_threads": 1})
}
