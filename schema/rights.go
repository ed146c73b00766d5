package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

var (
	neededRights = []string{
		"CREATE TABLE ON {database}.*", "ALTER TABLE ON {database}.*", "SELECT ON {database}.*", "INSERT ON {database}.*",
		"TABLE ENGINE ON ReplacingMergeTree", "TABLE ENGINE ON AggregatingMergeTree", "TABLE ENGINE ON SummingMergeTree",
		"SELECT ON system.detached_parts",
	}
	neededOnACluster = []string{"REMOTE ON *.*", "SELECT ON system.clusters", readAllTables}
	// neededToFindReplicas lets it be found out whether the tables of a cluster are to be Replicated.
	neededToFindReplicas = []string{"SELECT ON system.macros"}
)

// readAllTables is needed to read the table of every host at once. Each user may read that of one, so that CHECK GRANT says that every user
// has it.
const readAllTables = "SELECT ON system.tables"

// NeededRights returns the rights that the service needs on a database, as GRANT takes them, and where that is on a cluster those that it
// needs there besides. docs/clickhouse.md lists them for people.
func NeededRights(database string, cluster bool) []string {
	needed := layout{findReplicated: cluster}
	if cluster {
		needed.cluster = "any"
	}
	return needed.rights(database)
}

// rights are those that a layout needs on a database.
func (l layout) rights(database string) (rights []string) {
	needed := neededRights
	if l.cluster != "" {
		needed = slices.Concat(needed, neededOnACluster)
	}
	if l.cluster != "" && l.findReplicated {
		needed = slices.Concat(needed, neededToFindReplicas)
	}
	for _, right := range needed {
		rights = append(rights, strings.ReplaceAll(right, "{database}", database))
	}
	return rights
}

// MissingRights returns the rights that the service needs and the user of the connection has not, as GRANT takes them.
func (db *DB) MissingRights(ctx context.Context) ([]string, error) {
	needed := db.layout.rights(db.database)
	if db.layout.onCluster() != "" {
		needed = append(needed, "CLUSTER ON *.*")
	}
	return missingRights(ctx, db.conn, needed)
}

func missingRights(ctx context.Context, conn driver.Conn, needed []string) (missing []string, err error) {
	for _, right := range needed {
		var has uint8
		if err := conn.QueryRow(ctx, "CHECK GRANT "+right).Scan(&has); err != nil {
			return nil, fmt.Errorf("the server cannot tell what its user may do: %w", reason(withoutAddress(err)))
		}
		if has == 0 {
			missing = append(missing, right)
		}
	}
	return missing, nil
}

// requireRights fails with what to grant where the user lacks a right, before anything is made with those that it has. What the server
// cannot tell shows when the right is used.
func requireRights(ctx context.Context, conn driver.Conn, needed []string) error {
	missing, err := missingRights(ctx, conn, needed)
	if err != nil || len(missing) == 0 {
		return nil
	}
	return lacks(missing...)
}

func lacks(rights ...string) error {
	return fmt.Errorf("the ClickHouse user lacks rights that lastseen needs: GRANT %s TO it, and start again", strings.Join(rights, ", "))
}
