package schema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// DetachedPart is a part of a table that ClickHouse has set aside because it could not be read whole: its
// rows are in no answer.
type DetachedPart struct {
	Table  string // as the schema names it
	Name   string // of the folder below detached/
	Reason string // such as broken-on-start
	Bytes  uint64 // on disk
}

// HeldKeys reports whether the part held keys, what was done to them, or how much.
func (p DetachedPart) HeldKeys() bool {
	return p.Table == apiKeysTable.name || p.Table == apiKeyEventsTable.name || p.Table == apiKeyCountsTable.name
}

// HeldSignIn reports whether the part held links and sessions that are spent.
func (p DetachedPart) HeldSignIn() bool { return p.Table == spentTokensTable.name }

// String names the part as messages do.
func (p DetachedPart) String() string {
	return fmt.Sprintf("%s (%s, %s, %d bytes)", p.Name, p.Table, p.Reason, p.Bytes)
}

// DetachedParts returns the parts that ClickHouse has set aside as damaged. Those that an operator has
// detached on purpose, and copies that merges have left, are not among them.
func (db *DB) DetachedParts(ctx context.Context) ([]DetachedPart, error) {
	names := map[string]string{}
	for _, t := range tables {
		names[db.layout.local(t)] = t.name
	}
	rows, err := db.conn.Query(ctx, `SELECT table, name, ifNull(reason, '') AS reason, toUInt64(ifNull(bytes_on_disk, 0)) AS bytes FROM `+db.layout.everywhere("system.detached_parts")+`
WHERE database = {database:String} AND (reason LIKE 'broken%' OR reason IN ('covered-by-broken', 'unexpected', 'noquorum')) ORDER BY table, name`,
		clickhouse.Named("database", db.database))
	if err != nil {
		return nil, fmt.Errorf("look for damaged parts: %w", err)
	}
	var parts []DetachedPart
	err = eachStruct(rows, "look for damaged parts", func(r struct {
		Table  string `ch:"table"`
		Name   string `ch:"name"`
		Reason string `ch:"reason"`
		Bytes  uint64 `ch:"bytes"`
	}) {
		if name, ours := names[r.Table]; ours {
			parts = append(parts, DetachedPart{Table: name, Name: r.Name, Reason: r.Reason, Bytes: r.Bytes})
		}
	})
	return parts, err
}
