package schema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
)

// rowsPerSet is how many rows a set may have that one statement refers to. Sets are data of the
// statement's request: a server takes at most 128 KiB for a bound parameter. Whoever asks for more asks
// several times, so that neither side holds much.
const rowsPerSet = 5000

// setColumn is a column of a set; values is a slice with an element for each row.
type setColumn struct {
	name   string
	kind   column.Type
	values any
}

// withSet adds a set to the statements run with the context, which refer to it as the table wanted.
func withSet(ctx context.Context, columns ...setColumn) (context.Context, error) {
	var definitions []func(*ext.Table) error
	for _, c := range columns {
		definitions = append(definitions, ext.Column(c.name, c.kind))
	}
	table, err := ext.NewTable("wanted", definitions...)
	if err != nil {
		return nil, fmt.Errorf("make a set of values: %w", err)
	}
	for i, c := range columns {
		if _, err := table.Block().Columns[i].Append(c.values); err != nil {
			return nil, fmt.Errorf("make a set of values: %w", err)
		}
	}
	return clickhouse.Context(ctx, clickhouse.WithExternalTable(table)), nil
}

// withIDs is withSet for one column of ids.
func withIDs(ctx context.Context, name string, ids []ID) (context.Context, error) {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return withSet(ctx, setColumn{name, "String", texts})
}
