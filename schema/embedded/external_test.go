package embedded_test

import (
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
)

func TestExternalTablesHoldAnyTextAndAreBiggerThanAServersFields(t *testing.T) {
	t.Parallel()
	conn := open(t, newDatabase(t))
	table, err := ext.NewTable("wanted", ext.Column("name", "String"), ext.Column("n", "Int64"))
	if err != nil {
		t.Fatal(err)
	}
	strange := "a'b\\c\td\ne\r\x00{x:String}"
	rows := map[string]int64{strange: 7}
	if err := table.Append(strange, int64(7)); err != nil {
		t.Fatal(err)
	}
	const many = 50_000
	for i := range int64(many) {
		if err := table.Append("of some length", i); err != nil {
			t.Fatal(err)
		}
	}
	ctx := clickhouse.Context(withTimeout(t), clickhouse.WithExternalTable(table))
	var found, all uint64
	err = conn.QueryRow(ctx, "SELECT countIf(name = {name:String} AND n = {n:Int64}), count() FROM wanted",
		clickhouse.Named("name", strange), clickhouse.Named("n", rows[strange])).Scan(&found, &all)
	if err != nil || found != 1 || all != many+1 {
		t.Errorf("%d of %d rows are the strange one, %v; want 1 of %d", found, all, err, many+1)
	}
	if err := conn.Exec(ctx, "CREATE TABLE copy ENGINE = Memory AS SELECT * FROM wanted"); err == nil {
		t.Error("an external table of what does not begin with SELECT is not refused")
	}
}
