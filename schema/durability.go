package schema

import (
	"context"
	"fmt"
	"regexp"
)

// fsyncAfterInsert reads from a table's definition, as ClickHouse gives it, whether inserts are synced.
var fsyncAfterInsert = regexp.MustCompile(`\bfsync_after_insert = (\d+)`)

// tables are those that hold what was acknowledged, in the order in which they are made.
var tables = []table{dataPointsTable, lastSeenTable, sessionsTable, devicesTable, apiKeysTable, apiKeyEventsTable, spentTokensTable, apiKeyIDsTable, apiKeyUsageTable, apiKeyCountsTable}

// setDurability makes every table sync its inserts, or none, as the layout says: a table keeps the settings
// that it was made with, so that a directory that was once opened without fsync would stay without.
// Nothing is changed in a table that is so already. The log says when inserts are not synced, and when they were not until now.
func (db *DB) setDurability(ctx context.Context, definitions map[string][]string) error {
	var wanted int64
	if db.layout.fsync {
		wanted = 1
	}
	changed := 0
	for _, t := range tables {
		set, err := allSay(definitions[db.layout.local(t)], fsyncAfterInsert, wanted)
		if err != nil {
			return fmt.Errorf("read whether the table %s is synced: %w", t.name, err)
		}
		if set {
			continue
		}
		change := fmt.Sprintf("MODIFY SETTING fsync_after_insert = %d, fsync_part_directory = %d", wanted, wanted)
		if err := db.alter(ctx, t, change); err != nil {
			return fmt.Errorf("set whether the table %s is synced: %w", t.name, err)
		}
		changed++
	}
	switch {
	case wanted == 0:
		db.log.Warn("inserts are not synced (--no-fsync): a loss of power may cost what was acknowledged, and leave damaged parts (docs/operating.md, damage)")
	case changed > 0:
		db.log.Warn("tables were written without fsync until now, and are synced from here on", "tables", changed)
	}
	return nil
}
