package schema

import (
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// The functions below make the columns of a block with one row, which is sent as data where a parameter would be
// too long.

func textColumn(text string) proto.ColInput {
	column := new(proto.ColStr)
	column.Append(text)
	return column
}

func listColumn(texts []string) proto.ColInput {
	column := new(proto.ColStr).Array()
	column.Append(texts)
	return column
}

func nullableTextColumn(text *string) proto.ColInput {
	column := new(proto.ColStr).Nullable()
	column.Append(nullable(text))
	return column
}

// nullableTimeColumn makes one of DateTime64(3).
func nullableTimeColumn(at *time.Time) proto.ColInput {
	column := new(proto.ColDateTime64).WithPrecision(proto.PrecisionMilli).Nullable()
	column.Append(nullable(at))
	return column
}

// nullable returns a value, and NULL for nil.
func nullable[T any](value *T) proto.Nullable[T] {
	if value == nil {
		return proto.Null[T]()
	}
	return proto.NewNullable(*value)
}
