package schema

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// migration is one step of the schema. Steps are never edited once released; a change is a new step.
// Every statement can run any number of times and from several nodes at once, because a node may
// die between running a step and recording it.
type migration struct {
	version    uint32
	name       string
	statements func(layout) []string
}

// migrations in ascending version.
var migrations = []migration{
	{1, "tables", func(l layout) []string {
		var statements []string
		for _, t := range []table{dataPointsTable, lastSeenTable, sessionsTable, devicesTable, apiKeysTable, apiKeyEventsTable} {
			statements = append(statements, l.ddl(t)...)
		}
		return statements
	}},
	// Points and checkpoints arrive in small inserts, and with ClickHouse's base of 5 each was merged so often that merges
	// took a third of what ingest costs. A base of 10 takes 14 % off that for some more parts at a time
	// (docs/architecture.md, "A point's way in"). Old points are merged on all the same: the base falls with age.
	{2, "fewer merges", func(l layout) (statements []string) {
		for _, t := range []table{dataPointsTable, lastSeenTable} {
			statements = append(statements, "ALTER TABLE "+l.local(t)+l.onCluster()+" MODIFY SETTING merge_selector_base = 10")
		}
		return statements
	}},
	{3, "spent tokens", func(l layout) []string { return l.ddl(spentTokensTable) }},
	{4, "credentials that register devices", func(l layout) (statements []string) {
		for _, name := range slices.Compact([]string{l.local(apiKeysTable), apiKeysTable.name}) {
			statements = append(statements, "ALTER TABLE "+name+l.onCluster()+" ADD COLUMN IF NOT EXISTS registers_devices SimpleAggregateFunction(max, UInt8)")
		}
		return statements
	}},
	// The ids of the keys that are there are written at the start: see KeyTable.RepairKeyIDs.
	{5, "keys that know their place", func(l layout) []string {
		statements := append(l.ddl(apiKeyIDsTable), l.ddl(apiKeyUsageTable)...)
		for _, name := range slices.Compact([]string{l.local(apiKeysTable), apiKeysTable.name}) {
			statements = append(statements, "ALTER TABLE "+name+l.onCluster()+` ADD COLUMN IF NOT EXISTS changes SimpleAggregateFunction(max, UInt32),
    ADD COLUMN IF NOT EXISTS renamed SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS denied_scopes SimpleAggregateFunction(groupBitOr, UInt8),
    ADD COLUMN IF NOT EXISTS allowed_ip_ranges SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS requests_per_second SimpleAggregateFunction(min, UInt32) DEFAULT 4294967295,
    ADD COLUMN IF NOT EXISTS replaces SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS replaced_by SimpleAggregateFunction(max, String)`)
		}
		for _, name := range slices.Compact([]string{l.local(apiKeyEventsTable), apiKeyEventsTable.name}) {
			statements = append(statements, "ALTER TABLE "+name+l.onCluster()+" ADD COLUMN IF NOT EXISTS changed Array(LowCardinality(String))")
		}
		return statements
	}},
	{8, "whether a session's points are judged", func(l layout) (statements []string) {
		for _, name := range slices.Compact([]string{l.local(sessionsTable), sessionsTable.name}) {
			statements = append(statements, "ALTER TABLE "+name+l.onCluster()+" ADD COLUMN IF NOT EXISTS outliers Nullable(String) AFTER flight_leg_ids")
		}
		return statements
	}},
	{9, "how much was written of keys", func(l layout) []string {
		statements := l.ddl(apiKeyCountsTable)
		for _, name := range slices.Compact([]string{l.local(apiKeysTable), apiKeysTable.name}) {
			statements = append(statements, "ALTER TABLE "+name+l.onCluster()+" ADD COLUMN IF NOT EXISTS writes SimpleAggregateFunction(groupUniqArrayArray, Array(UInt64))")
		}
		return statements
	}},
}

// schemaMigrationsTable records which steps have run.
var schemaMigrationsTable = table{
	name: "schema_migrations",
	columns: `    version UInt32,
    name String,
    applied_at DateTime64(3, 'UTC')`,
	engine:  "ReplacingMergeTree(applied_at)",
	tail:    "ORDER BY version",
	shardBy: "version",
}

// Migrate brings the tables to this binary's version and to the fsync, retention and disk reserve of Options. It may run
// again, and from several nodes at once. It refuses a database that a newer version of lastseen has
// migrated, and one into which a restore was cut short.
func (db *DB) Migrate(ctx context.Context) error {
	if db.layout.cluster != "" {
		// A step must be there on every host before the next one builds on it.
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"distributed_ddl_task_timeout": 120}))
	}
	if err := db.checkRestored(ctx); err != nil {
		return err
	}
	for _, statement := range db.layout.ddl(schemaMigrationsTable) {
		if err := db.define(ctx, statement); err != nil {
			return fmt.Errorf("create the table schema_migrations: %w", err)
		}
	}
	current, err := db.migrated(ctx)
	if err != nil {
		return err
	}
	newest := NewestVersion()
	if current > newest {
		return fmt.Errorf("the database is at schema version %d and this binary knows only %d: run a newer lastseen", current, newest)
	}
	for _, step := range migrations {
		if step.version <= current {
			continue
		}
		err := db.apply(ctx, step)
		if diskFull(err) {
			return fmt.Errorf("ClickHouse's disk has no room for the tables: make room and start again; what is there stays as it is (schema version %d: %w)", step.version, reason(err))
		}
		if err != nil {
			return fmt.Errorf("migrate to schema version %d (%s): %w", step.version, step.name, err)
		}
	}
	definitions, err := db.definitions(ctx)
	if err != nil {
		return err
	}
	if err := db.setDurability(ctx, definitions); err != nil {
		return err
	}
	points := definitions[db.layout.local(dataPointsTable)]
	if err := db.setRetention(ctx, points); err != nil {
		return err
	}
	return db.setDiskReserve(ctx, points)
}

// NewestVersion is the schema version that Migrate brings tables to.
func NewestVersion() uint32 { return migrations[len(migrations)-1].version }

// migrated returns the schema version of the tables, of which schema_migrations must be there.
func (db *DB) migrated(ctx context.Context) (version uint32, err error) {
	if err := db.conn.QueryRow(ctx, "SELECT max(version) FROM schema_migrations").Scan(&version); err != nil {
		return 0, fmt.Errorf("read the schema version: %w", err)
	}
	return version, nil
}

// definitions returns, by the name of a table on each machine, the statements that would make it as it is, one of each machine.
func (db *DB) definitions(ctx context.Context) (map[string][]string, error) {
	rows, err := db.conn.Query(ctx, "SELECT name, create_table_query FROM "+db.layout.everywhere("system.tables")+" WHERE database = {database:String}",
		clickhouse.Named("database", db.database))
	if hasCode(err, accessDenied) {
		return nil, lacks(readAllTables)
	}
	if err != nil {
		return nil, fmt.Errorf("read the definitions of tables: %w", err)
	}
	statements := map[string][]string{}
	err = eachStruct(rows, "read the definitions of tables", func(r struct {
		Name      string `ch:"name"`
		Statement string `ch:"create_table_query"`
	}) {
		statements[r.Name] = append(statements[r.Name], r.Statement)
	})
	return statements, err
}

// allSay reports whether the number that a pattern finds in definitions, 0 where it finds none, is the wanted
// one in each.
func allSay(definitions []string, pattern *regexp.Regexp, wanted int64) (bool, error) {
	for _, definition := range definitions {
		var number int64
		if found := pattern.FindStringSubmatch(definition); found != nil {
			var err error
			if number, err = strconv.ParseInt(found[1], 10, 64); err != nil {
				return false, err
			}
		}
		if number != wanted {
			return false, nil
		}
	}
	return true, nil
}

// alter changes the table of each machine.
func (db *DB) alter(ctx context.Context, t table, change string) error {
	return db.define(ctx, "ALTER TABLE "+db.layout.local(t)+db.layout.onCluster()+" "+change)
}

// apply runs one step and then records it.
func (db *DB) apply(ctx context.Context, step migration) error {
	for _, statement := range step.statements(db.layout) {
		if err := db.define(ctx, statement); err != nil {
			return err
		}
	}
	return db.conn.Exec(ctx,
		"INSERT INTO schema_migrations (version, name, applied_at) SELECT {version:UInt32}, {name:String}, fromUnixTimestamp64Milli({now:Int64}, 'UTC')",
		clickhouse.Named("version", step.version), clickhouse.Named("name", step.name), clickhouse.Named("now", time.Now().UnixMilli()))
}
