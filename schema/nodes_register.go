package schema

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// placeTable is a table without rows whose comment says where the nodes of the database have their register. It lies where the
// writer's lease does.
const placeTable = "nodes_register"

// InClickHouse is the place of a register that is in ClickHouse; see ClaimPlace.
const InClickHouse = "ClickHouse"

// ClaimPlace notes where several nodes have their register, unless it is noted already, and returns what is noted. Nodes that looked in
// two places would each find that nobody leads, and write as if the others were not there.
func (r *WriterRegister) ClaimPlace(ctx context.Context, place string) (noted string, err error) {
	err = r.conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+placeTable+" (nothing UInt8) ENGINE = Null COMMENT "+quoteText(place))
	if err != nil {
		return "", fmt.Errorf("note where the nodes have their register: %w", withoutAddress(err))
	}
	if noted, err = r.Place(ctx); err == nil && noted == "" {
		err = errors.New("what was noted of where the nodes have their register is gone: start again")
	}
	return noted, err
}

// Place returns where several nodes of the database have their register; empty where it was never that of several.
func (r *WriterRegister) Place(ctx context.Context) (place string, err error) {
	rows, err := r.conn.Query(ctx, "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = {name:String}", clickhouse.Named("name", placeTable))
	if err == nil {
		err = eachStruct(rows, "look for the table "+placeTable, func(row struct {
			Comment string `ch:"comment"`
		}) {
			place = row.Comment
		})
	}
	if err != nil {
		return "", fmt.Errorf("find out where the nodes have their register: %w", withoutAddress(err))
	}
	return place, nil
}

// ForgetPlace is for a node that is alone from now on.
func (r *WriterRegister) ForgetPlace(ctx context.Context) error {
	if err := r.conn.Exec(ctx, "DROP TABLE IF EXISTS "+placeTable+" SYNC"); err != nil {
		return fmt.Errorf("forget where the nodes had their register: %w", withoutAddress(err))
	}
	return nil
}
