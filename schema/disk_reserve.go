package schema

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

// codeNotEnoughSpace is ClickHouse's NOT_ENOUGH_SPACE, which an insert is refused with before it writes.
const codeNotEnoughSpace = 243

func diskFull(err error) bool { return hasCode(err, codeNotEnoughSpace) }

// diskReserve reads the reserve from a table's definition as ClickHouse gives it.
var diskReserve = regexp.MustCompile(`\bmin_free_disk_bytes_to_perform_insert = (\d+)`)

// setDiskReserve makes ClickHouse refuse inserts of data points while its disk has less free space than
// the layout's reserve. A merge that meets a full disk can leave a part that cannot be read (seen in 26.7:
// "Empty marks file"), with points that were acknowledged long before. Merges reserve the space they will
// need; what could take it away from them are inserts. Nothing is changed when the tables,
// whose definitions are given, are so already.
func (db *DB) setDiskReserve(ctx context.Context, definitions []string) error {
	set, err := allSay(definitions, diskReserve, db.layout.diskReserve)
	if err != nil {
		return fmt.Errorf("read the disk reserve of the data points: %w", err)
	}
	if set {
		return nil
	}
	change := "MODIFY SETTING min_free_disk_bytes_to_perform_insert = " + strconv.FormatInt(db.layout.diskReserve, 10)
	if err := db.alter(ctx, dataPointsTable, change); err != nil {
		return fmt.Errorf("set the disk reserve of the data points to %d bytes: %w", db.layout.diskReserve, err)
	}
	return nil
}
