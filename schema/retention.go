package schema

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

const day = 24 * time.Hour

// LongestRetention is the most that Options.Retention may be: fifty years. ClickHouse reckons the end of
// a point in a DateTime, whose 32 bits end in February 2106; a point that is kept beyond would wrap
// around to 1970 and be dropped at once. So this binary must not set retentions after 2055.
const LongestRetention = 18_250 * day

// retentionDays reads the retention from a table's definition as ClickHouse gives it.
var retentionDays = regexp.MustCompile(`\bTTL toDateTime\(timestamp\) \+ toIntervalDay\((\d+)\)`)

// checkRetention returns an error that says what Options.Retention may be.
func checkRetention(retention time.Duration) error {
	if retention < 0 || retention > LongestRetention || retention%day != 0 {
		return fmt.Errorf("the retention must be 0 or whole days up to %d", LongestRetention/day)
	}
	return nil
}

// setRetention makes ClickHouse drop the data points whose timestamp is older than the layout's
// retention, or none when that is 0. ClickHouse does so when it merges, within hours. Nothing is
// changed when the tables, whose definitions are given, are so already.
func (db *DB) setRetention(ctx context.Context, definitions []string) error {
	wanted := int64(db.layout.retention / day)
	set, err := allSay(definitions, retentionDays, wanted)
	if err != nil {
		return fmt.Errorf("read the retention of the data points: %w", err)
	}
	if set {
		return nil
	}
	change := "REMOVE TTL"
	if wanted > 0 {
		change = "MODIFY TTL toDateTime(timestamp) + toIntervalDay(" + strconv.FormatInt(wanted, 10) + ")"
	}
	if err := db.alter(ctx, dataPointsTable, change); err != nil {
		return fmt.Errorf("set the retention of the data points to %d days: %w", wanted, err)
	}
	return nil
}
