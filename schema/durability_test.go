package schema_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// TestWhetherInsertsAreSyncedFollowsTheOptions opens one database without fsync, with it, and without it again: a table keeps
// the settings that it was made with unless somebody changes them.
func TestWhetherInsertsAreSyncedFollowsTheOptions(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t) // without fsync
	for _, step := range []struct {
		noFsync bool
		want    string
		says    string // in the log
	}{{true, "0", "not synced"}, {false, "1", "synced from here on"}, {false, "1", ""}, {true, "0", "not synced"}} {
		var log bytes.Buffer
		migrateWith(t, schema.Options{Database: db.Database(), NoFsync: step.noFsync, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if said := log.String(); !strings.Contains(said, step.says) || step.says == "" && strings.Contains(said, "synced") {
			t.Errorf("with NoFsync %v the log says %q, want %q", step.noFsync, said, step.says)
		}
		conn := schematest.Connect(t, db)
		rows, err := conn.Query(context.Background(), `SELECT name, create_table_query FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name NOT IN ('schema_migrations', 'schema_migrations_local') ORDER BY name`)
		if err != nil {
			t.Fatal(err)
		}
		tables := 0
		for rows.Next() {
			var name, statement string
			if err := rows.Scan(&name, &statement); err != nil {
				t.Fatal(err)
			}
			tables++
			for _, setting := range []string{"fsync_after_insert", "fsync_part_directory"} {
				says := strings.Contains(statement, setting+" = "+step.want)
				if silent := !strings.Contains(statement, setting); !says && !(silent && step.want == "0") {
					t.Errorf("with NoFsync %v the table %s is made by %s", step.noFsync, name, statement)
				}
			}
		}
		if err := rows.Err(); err != nil || tables < 7 {
			t.Errorf("%d tables were looked at (%v)", tables, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

func migrateWith(t *testing.T, options schema.Options) {
	t.Helper()
	db, err := schematest.Connected(t.Context(), t, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
