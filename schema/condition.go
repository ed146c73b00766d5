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

// Condition is how a store is, beside whether it serves. What could not be found out is zero and in Gaps.
type Condition struct {
	Version         string // of ClickHouse
	Migrated, Known uint32 // the schema version of the tables, 0 where there are none, and of this binary

	// ClockAhead is how far the store's clock is ahead of this machine's, to within ClockDoubt.
	ClockAhead, ClockDoubt time.Duration

	DiskFree, DiskSize uint64 // bytes of ClickHouse's default disk; of the host of a cluster that has least
	DiskReserve        uint64 // bytes, below which no points are written
	// Parts are the active parts of the partition that has most of them; past PartsLimit ClickHouse slows inserts down.
	Parts, PartsLimit uint64
	Damaged           []DetachedPart // see DetachedParts

	Synced    bool          // every table syncs its inserts
	Retention time.Duration // of data points; 0 for ever

	Gaps []Gap
}

// What Examine looks at one by one, so that each can be a gap.
const (
	OfSchema   = "schema"   // Migrated
	OfDisk     = "disk"     // DiskFree and DiskSize
	OfParts    = "parts"    // Parts and PartsLimit
	OfDamage   = "damage"   // Damaged
	OfSettings = "settings" // Synced, Retention and DiskReserve
)

// Gap is something about a store that could not be found out.
type Gap struct {
	What string // one of the constants above
	Err  error
}

// Knows reports whether something, one of the constants above, was found out.
func (c *Condition) Knows(what string) bool {
	return !slices.ContainsFunc(c.Gaps, func(gap Gap) bool { return gap.What == what })
}

// Examine finds out how the store is. It changes nothing, and fails only where there is no answer at all.
func (db *DB) Examine(ctx context.Context) (Condition, error) {
	c := Condition{Known: NewestVersion()}
	if err := db.examineClock(ctx, &c); err != nil {
		return c, fmt.Errorf("examine ClickHouse: %w", err)
	}
	err := db.conn.QueryRow(ctx, "SELECT max(version) FROM schema_migrations").Scan(&c.Migrated)
	if hasCode(err, codeUnknownTable) {
		err = nil
	}
	for _, look := range []struct {
		what string
		err  error
	}{
		{OfSchema, err},
		{OfDisk, db.examineDisk(ctx, &c)},
		{OfParts, db.examineParts(ctx, &c)},
		{OfDamage, db.examineDamage(ctx, &c)},
		{OfSettings, db.examineSettings(ctx, &c)},
	} {
		if look.err != nil {
			c.Gaps = append(c.Gaps, Gap{look.what, reason(withoutAddress(look.err))})
		}
	}
	return c, nil
}

// examineClock compares the clocks by the middle of the time that asking took.
func (db *DB) examineClock(ctx context.Context, c *Condition) error {
	var at int64
	began := time.Now()
	if err := db.conn.QueryRow(ctx, "SELECT version(), toUnixTimestamp64Milli(now64(3))").Scan(&c.Version, &at); err != nil {
		return err
	}
	c.ClockDoubt = time.Since(began)/2 + time.Millisecond
	c.ClockAhead = time.UnixMilli(at).Sub(began.Add(c.ClockDoubt))
	return nil
}

func (db *DB) examineDisk(ctx context.Context, c *Condition) error {
	return db.conn.QueryRow(ctx, "SELECT toUInt64(min(filesystemUnreserved())), toUInt64(min(filesystemCapacity())) FROM "+db.layout.everywhere("system.one")).Scan(&c.DiskFree, &c.DiskSize)
}

func (db *DB) examineParts(ctx context.Context, c *Condition) error {
	err := db.conn.QueryRow(ctx, "SELECT toUInt64(max(parts)) FROM (SELECT count() AS parts FROM "+db.layout.everywhere("system.parts")+
		" WHERE active AND database = {database:String} GROUP BY hostName(), table, partition_id)", clickhouse.Named("database", db.database)).Scan(&c.Parts)
	if err != nil {
		return err
	}
	err = db.conn.QueryRow(ctx, "SELECT toUInt64(max(toUInt64OrZero(value))) FROM system.merge_tree_settings WHERE name = 'parts_to_delay_insert'").Scan(&c.PartsLimit)
	if hasCode(err, accessDenied) {
		c.PartsLimit, err = usualPartsLimit, nil
	}
	return err
}

// usualPartsLimit is ClickHouse's own parts_to_delay_insert.
const usualPartsLimit = 1000

func (db *DB) examineDamage(ctx context.Context, c *Condition) (err error) {
	c.Damaged, err = db.DetachedParts(ctx)
	return err
}

// examineSettings reads from the definitions of the tables what Migrate has made them to.
func (db *DB) examineSettings(ctx context.Context, c *Condition) error {
	definitions, err := db.definitions(ctx)
	if err != nil {
		return err
	}
	c.Synced = true
	for _, t := range tables {
		name := db.layout.local(t)
		synced, err := allSay(definitions[name], fsyncAfterInsert, 1)
		if err != nil {
			return err
		}
		c.Synced = c.Synced && synced && len(definitions[name]) > 0
	}
	points := definitions[db.layout.local(dataPointsTable)]
	c.Retention, c.DiskReserve = time.Duration(said(points, retentionDays))*day, uint64(said(points, diskReserve))
	return nil
}

// said is the number that a pattern finds in the first of the definitions, 0 where it finds none.
func said(definitions []string, pattern *regexp.Regexp) int64 {
	if len(definitions) == 0 {
		return 0
	}
	found := pattern.FindStringSubmatch(definitions[0])
	if found == nil {
		return 0
	}
	number, _ := strconv.ParseInt(found[1], 10, 64) // the pattern finds digits
	return number
}
