package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"lastseen/schema"
	"lastseen/schema/embedded"
)

// examineStore opens the store, or hears of it from the service that holds it.
func (e *examination) examineStore(ctx context.Context) {
	e.examineStoreCertificates(ctx)
	if e.Store.ClickHouse == schema.Embedded {
		if _, err := os.Stat(filepath.Join(e.Store.DataDir, "clickhouse")); err != nil {
			e.add(Fail, "store", "Name the service's data directory with --data-dir, or its server with --clickhouse.", "there is no data in %s", e.Store.DataDir)
			return
		}
	}
	// What is opened here makes nothing, and so keeps no room on the disk either.
	options := e.Store
	options.Existing, options.DiskReserve, options.Connections = true, 0, 2
	opening, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	db, err := schema.Open(opening, options)
	switch {
	case errors.Is(err, embedded.ErrLocked):
		e.examineFromOutside(err)
		return
	case err != nil:
		e.add(Fail, "store", "Mend what it says.", "%v", err)
		return
	}
	defer func() {
		if err := db.Close(); err != nil {
			e.add(Warn, "store", "Look at the engine's log, clickhouse/engine.log in the data directory.", "it could not be closed: %v", err)
		}
	}()
	condition, err := db.Examine(ctx)
	if err != nil {
		e.add(Fail, "store", "Mend what it says.", "%v", err)
		return
	}
	e.judgeStore(&condition)
	e.judgeClock("ClickHouse", thisMachines, condition.ClockAhead, condition.ClockDoubt)
	if options.ClickHouse != schema.Embedded {
		e.examineRights(ctx, db)
		e.examineWriter(ctx, db)
	}
	if condition.Migrated > 0 || !condition.Knows(schema.OfSchema) {
		e.examineKeys(ctx, db)
	}
}

// examineFromOutside judges a store that another process holds by what that one says.
func (e *examination) examineFromOutside(held error) {
	condition, known := e.metrics.reported()
	if !known {
		e.add(Warn, "store", "Give the service's --admin-addr, or stop it and run this again.", "only the process that holds it could tell how it is: %v", held)
		return
	}
	e.ok("store", "the service holds %s, and says the following of it", e.Store.DataDir)
	if up, _ := e.metrics.value("store_up", nil); up == 0 {
		e.add(Fail, "store", "/readyz and the service's log say what is wrong.", "it does not serve")
	}
	e.judgeStore(&condition)
	if damaged, _ := e.metrics.value("store_damaged_parts", nil); damaged > 0 {
		e.add(Fail, "damage", mendDamage, "%g parts of tables are damaged and set aside; the service's log names them", damaged)
	}
	for _, kind := range []string{"api_key", "device_credential"} {
		week, _ := e.metrics.value("keys_expiring", map[string]string{"kind": kind, "days": "7"})
		e.judgeExpiring(kind, uint64(week))
	}
}

const mendDamage = "Restore them from a backup, or start the service with --accept-damage to go on without what they held."

// judgeStore says what a condition means.
func (e *examination) judgeStore(c *schema.Condition) {
	e.ok("store", "it is ClickHouse %s", c.Version)
	switch {
	case !c.Knows(schema.OfSchema): // it is among the gaps
	case c.Migrated == 0:
		e.add(Warn, "schema", "The next start of the service makes them.", "there are no tables")
	case c.Migrated > c.Known:
		e.add(Fail, "schema", "Use the newer lastseen.", "the tables are of schema version %d, and this program knows only %d", c.Migrated, c.Known)
	case c.Migrated < c.Known:
		e.add(Warn, "schema", "The next start of the service brings them up to date.", "the tables are of schema version %d, and this program's is %d", c.Migrated, c.Known)
	default:
		e.ok("schema", "the tables are of schema version %d", c.Migrated)
	}
	e.judgeDisk(c)
	e.judgeParts(c)
	for _, part := range c.Damaged {
		e.add(Fail, "damage", mendDamage, "ClickHouse has set the damaged part %s aside", part)
	}
	if c.Migrated > 0 && c.Knows(schema.OfSettings) {
		e.judgePromises(c)
	}
	for _, gap := range c.Gaps {
		e.add(Warn, gap.What, "Mend what it says, to know; where it is a right, grant it to the ClickHouse user.", "it could not be found out: %v", gap.Err)
	}
}

func (e *examination) judgeDisk(c *schema.Condition) {
	if c.DiskSize == 0 {
		return // it is among the gaps, or nobody knows
	}
	free, size, reserve := float64(c.DiskFree), float64(c.DiskSize), float64(c.DiskReserve)
	says, args := "%s of %s are free", []any{bytesText(free), bytesText(size)}
	if c.Knows(schema.OfSettings) {
		says, args = says+", and points are refused below %s", append(args, bytesText(reserve))
	}
	const mend = "Make room, give it a larger disk, or keep points for less long (--retention)."
	switch {
	case free <= reserve:
		e.add(Fail, "disk", mend, says, args...)
	case free-reserve < size/20:
		e.add(Warn, "disk", mend, says, args...)
	default:
		e.ok("disk", says, args...)
	}
}

func (e *examination) judgeParts(c *schema.Condition) {
	if c.PartsLimit == 0 {
		return
	}
	says, args := "the fullest partition has %d parts, and past %d ClickHouse slows inserts down", []any{c.Parts, c.PartsLimit}
	const mend = "Merges do not keep up: look at the disk and the processor, and send old points in fewer and larger batches."
	switch {
	case c.Parts >= c.PartsLimit:
		e.add(Fail, "parts", mend, says, args...)
	case c.Parts > c.PartsLimit/2:
		e.add(Warn, "parts", mend, says, args...)
	default:
		e.ok("parts", says, args...)
	}
}

// judgePromises says what is kept of points, and how well.
func (e *examination) judgePromises(c *schema.Condition) {
	if c.Synced {
		e.ok("fsync", "points are on the disk when they are acknowledged")
	} else {
		e.add(Warn, "fsync", "Start the service without --no-fsync.", "points are acknowledged before the disk has them: the loss of power can take them")
	}
	kept := "for ever"
	if c.Retention > 0 {
		kept = daysText(c.Retention)
	}
	if e.Retention != nil && *e.Retention != c.Retention {
		e.add(Warn, "retention", "The next start of the service with --retention changes that.", "points are kept %s, and --retention says %s", kept, daysText(*e.Retention))
		return
	}
	e.ok("retention", "points are kept %s", kept)
}

func daysText(d time.Duration) string { return strconv.Itoa(int(d/day)) + " days" }

func (e *examination) examineRights(ctx context.Context, db *schema.DB) {
	missing, err := db.MissingRights(ctx)
	if err != nil {
		e.add(Warn, "rights", "Compare them with docs/clickhouse.md.", "%v", err)
		return
	}
	for _, right := range missing {
		e.add(Fail, "rights", "GRANT "+right+" TO the user.", "the ClickHouse user lacks %s", right)
	}
	if len(missing) == 0 {
		e.ok("rights", "the ClickHouse user has all that the service needs")
	}
}

func (e *examination) examineKeys(ctx context.Context, db *schema.DB) {
	counts, err := db.CountExpiringKeys(ctx, time.Now())
	if err != nil {
		e.add(Warn, "keys", "Mend what it says.", "%v", err)
		return
	}
	for _, count := range counts {
		e.judgeExpiring(string(count.Kind), count.Week)
	}
}

func (e *examination) judgeExpiring(kind string, week uint64) {
	if week > 0 {
		e.add(Warn, "keys", "lastseen keys list --status expiring names an organisation's; keys rotate replaces one without a gap.", "%d of kind %s expire within 7 days", week, kind)
		return
	}
	e.ok("keys", "none of kind %s expires within 7 days", kind)
}
