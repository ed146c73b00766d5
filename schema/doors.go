package schema

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// doorTables are those in which a row that comes late, of a writer whose time is over, would be wrong: it would be in nobody's
// memory, or in the place of another one. Of keys, events and spent tokens a late row is either true or only takes rights away.
var doorTables = []table{dataPointsTable, lastSeenTable, sessionsTable, devicesTable}

const (
	doorMark = "_door_" // stands between the name of a table and the epoch in that of its door
	wayMark  = "_way"   // ends the name of what leads from a door into its table
)

// OpenDoors makes this process the only one whose points, checkpoints, sessions and devices still arrive. A *door* is a table that
// keeps nothing and passes what is inserted on into the real one. Each epoch, which the caller has for itself and which grows,
// has doors of its own; those of earlier ones are closed first: the inserts that are under way are over when that returns, and
// whatever is on its way to ClickHouse finds no table.
func (db *DB) OpenDoors(ctx context.Context, epoch uint64) error {
	if err := db.CloseDoors(ctx, epoch); err != nil {
		return err
	}
	for _, t := range doorTables {
		name := doorName(t, epoch)
		for _, statement := range []string{
			"CREATE TABLE IF NOT EXISTS " + name + db.layout.onCluster() + " AS " + t.name + " ENGINE = Null",
			"CREATE MATERIALIZED VIEW IF NOT EXISTS " + name + wayMark + db.layout.onCluster() + " TO " + t.name + " AS SELECT * FROM " + name,
		} {
			if err := db.define(ctx, statement); err != nil {
				return fmt.Errorf("make a door to the table %s: %w", t.name, err)
			}
		}
	}
	db.doors.Store(epoch)
	return nil
}

// CloseDoors closes those of every epoch before one, and waits until no insert uses them any more. One of more than 256 KiB whose
// sender falls silent half way through, without the connection's end, keeps its door for ClickHouse's http_receive_timeout, 30 s; ClickHouse begins
// with a smaller one only when it has all of it, and what KILL QUERY ends goes on waiting.
func (db *DB) CloseDoors(ctx context.Context, before uint64) error {
	doors, err := db.findDoors(ctx)
	if err != nil {
		return err
	}
	for _, d := range doors {
		if d.epoch >= before {
			continue
		}
		if err := db.define(ctx, "DROP TABLE IF EXISTS "+d.name+db.layout.onCluster()+" SYNC"); err != nil {
			return fmt.Errorf("close the door %s, through which another lastseen wrote: %w", d.name, err)
		}
	}
	return nil
}

// MissingDoors returns which of an epoch's doors, and of the ways from them, are not there, on some host at least.
func (db *DB) MissingDoors(ctx context.Context, epoch uint64) (missing []string, err error) {
	var names []string
	for _, t := range doorTables {
		names = append(names, doorName(t, epoch), doorName(t, epoch)+wayMark)
	}
	hosts := uint64(1)
	if db.layout.cluster != "" {
		if err := db.conn.QueryRow(ctx, "SELECT count() FROM "+db.layout.everywhere("system.one")).Scan(&hosts); err != nil {
			return nil, fmt.Errorf("count the hosts of ClickHouse: %w", err)
		}
	}
	rows, err := db.conn.Query(ctx, "SELECT name, count() AS hosts FROM "+db.layout.everywhere("system.tables")+" WHERE database = {database:String} AND name IN {names:Array(String)} GROUP BY name",
		clickhouse.Named("database", db.database), clickhouse.Named("names", names))
	if err != nil {
		return nil, fmt.Errorf("look for the doors of epoch %d: %w", epoch, err)
	}
	err = eachStruct(rows, "look for doors", func(row struct {
		Name  string `ch:"name"`
		Hosts uint64 `ch:"hosts"`
	}) {
		if row.Hosts >= hosts {
			names = slices.DeleteFunc(names, func(name string) bool { return name == row.Name })
		}
	})
	return names, err
}

// door is a table that is a door, or the way from one.
type door struct {
	name  string
	epoch uint64
}

var doorPattern = regexp.MustCompile(doorMark + `([0-9]+)(` + wayMark + `)?$`)

// findDoors returns those that there are, each before its way: a door without its way takes rows and loses them.
func (db *DB) findDoors(ctx context.Context) (doors []door, err error) {
	rows, err := db.conn.Query(ctx, "SELECT DISTINCT name FROM "+db.layout.everywhere("system.tables")+" WHERE database = {database:String} AND position(name, {mark:String}) > 0 ORDER BY name",
		clickhouse.Named("database", db.database), clickhouse.Named("mark", doorMark))
	if err != nil {
		return nil, fmt.Errorf("look for doors: %w", err)
	}
	err = eachStruct(rows, "look for doors", func(row struct {
		Name string `ch:"name"`
	}) {
		if found := doorPattern.FindStringSubmatch(row.Name); found != nil {
			if epoch, err := strconv.ParseUint(found[1], 10, 64); err == nil {
				doors = append(doors, door{row.Name, epoch})
			}
		}
	})
	return doors, err
}

func doorName(t table, epoch uint64) string { return t.name + doorMark + strconv.FormatUint(epoch, 10) }

// into is the table into which rows of one are inserted: its door, where there are doors.
func (c *connection) into(t table) string {
	if epoch := c.doors.Load(); epoch > 0 {
		return doorName(t, epoch)
	}
	return t.name
}
