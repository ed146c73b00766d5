package schema

import (
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// eachStruct scans every row into a T by its `ch` tags and hands it to each. It closes rows.
func eachStruct[T any](rows driver.Rows, what string, each func(T)) (err error) {
	defer func() {
		if err = errors.Join(err, rows.Close()); err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
	}()
	for rows.Next() {
		var row T
		if err := rows.ScanStruct(&row); err != nil {
			return err
		}
		each(row)
	}
	return rows.Err()
}
