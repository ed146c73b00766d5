package schema

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema/register"
)

const (
	// viewPrefix begins the names of the tables that are views: nodes_view_7 is that of epoch 7, whose comment says what it is.
	viewPrefix = "nodes_view_"
	// keptViews is how many of them stay.
	keptViews = 8
	// tableExists is ClickHouse's TABLE_ALREADY_EXISTS.
	tableExists = 57
)

// beatsTable has the beats of who leads the nodes. They matter for seconds only, so they lie in memory and cost no disk.
const beatsTable = "CREATE TABLE IF NOT EXISTS nodes_beats (epoch UInt64, beat UInt64) ENGINE = Memory SETTINGS min_rows_to_keep = 8, max_rows_to_keep = 64"

// ViewRegister is a register.Register in one ClickHouse server: a view is a table without rows, named by its epoch, and ClickHouse
// makes one table of a name, whoever asks and how many do. It is safe for concurrent use, also by several processes.
type ViewRegister struct {
	conn  driver.Conn
	beats atomic.Uint64
}

// OpenViewRegister opens the register, over connections of its own, so that it is not the service's load that keeps it waiting.
func (db *DB) OpenViewRegister(ctx context.Context) (*ViewRegister, error) {
	if db.layout.cluster != "" || len(db.options.Addr) > 1 {
		return nil, errors.New("where ClickHouse has several hosts none of them can keep which nodes there are: name its Keeper with --keeper HOST:PORT,…")
	}
	options := *db.options
	options.MaxOpenConns, options.MaxIdleConns = 4, 2
	conn, err := clickhouse.Open(&options)
	if err != nil {
		return nil, fmt.Errorf("open a ClickHouse connection: %w", err)
	}
	r := &ViewRegister{conn: conn}
	if err := conn.Exec(ctx, beatsTable); err != nil {
		return nil, errors.Join(fmt.Errorf("make the register of the nodes: %w", withoutAddress(err)), r.Close())
	}
	return r, nil
}

// Identity tells the database from others: nodes of one service see the same.
func (db *DB) Identity(ctx context.Context) (string, error) {
	if db.layout.cluster != "" {
		return db.layout.cluster + "/" + db.database, nil
	}
	var server string
	if err := db.conn.QueryRow(ctx, "SELECT toString(serverUUID())").Scan(&server); err != nil {
		return "", fmt.Errorf("ask which ClickHouse server this is: %w", err)
	}
	return server + "/" + db.database, nil
}

// Close ends the connections.
func (r *ViewRegister) Close() error { return r.conn.Close() }

// Look implements register.Register.
func (r *ViewRegister) Look(ctx context.Context) (register.State, error) {
	rows, err := r.conn.Query(ctx, `SELECT toUInt64(substring(name, {past:UInt8})) AS epoch, comment,
  beating, beat
FROM system.tables CROSS JOIN (SELECT max(nodes_beats.epoch) AS beating, argMax(nodes_beats.beat, (nodes_beats.epoch, nodes_beats.beat)) AS beat FROM nodes_beats) AS last
WHERE database = currentDatabase() AND match(name, {pattern:String}) ORDER BY epoch DESC LIMIT 1`,
		clickhouse.Named("past", len(viewPrefix)+1), clickhouse.Named("pattern", "^"+viewPrefix+"[1-9][0-9]{0,18}$"))
	if err != nil {
		return register.State{}, fmt.Errorf("read which nodes there are: %w", withoutAddress(err))
	}
	var state register.State
	err = eachStruct(rows, "read which nodes there are", func(row struct {
		Epoch   uint64 `ch:"epoch"`
		View    string `ch:"comment"`
		Beating uint64 `ch:"beating"`
		Beat    uint64 `ch:"beat"`
	}) {
		state = register.State{Epoch: row.Epoch, View: []byte(row.View)}
		if row.Beating == row.Epoch {
			state.Beat = row.Beat
		}
	})
	return state, withoutAddress(err)
}

// Swap implements register.Register. A table of the name may have been there and have been dropped since; then there is a later one.
func (r *ViewRegister) Swap(ctx context.Context, epoch uint64, view []byte) error {
	if err := register.Check(view); err != nil {
		return err
	}
	now, err := r.Look(ctx)
	if err != nil {
		return err
	}
	if now.Epoch != epoch {
		return register.ErrMoved
	}
	err = r.conn.Exec(ctx, "CREATE TABLE "+viewName(epoch+1)+" (nothing UInt8) ENGINE = Null COMMENT "+quoteText(string(view)))
	if hasCode(err, tableExists) {
		return register.ErrMoved
	}
	if err != nil {
		return fmt.Errorf("write which nodes there are: %w", withoutAddress(err))
	}
	if now, err = r.Look(ctx); err != nil {
		return err
	}
	if now.Epoch != epoch+1 {
		return register.ErrMoved
	}
	if now.Epoch > keptViews {
		// One was added, so one that nobody asks for any more goes. The new one is in force, whatever comes of this.
		_ = r.conn.Exec(ctx, "DROP TABLE IF EXISTS "+viewName(now.Epoch-keptViews))
	}
	return nil
}

// Beat implements register.Register.
func (r *ViewRegister) Beat(ctx context.Context, epoch uint64) error {
	err := r.conn.Exec(ctx, "INSERT INTO nodes_beats SELECT {epoch:UInt64}, {beat:UInt64}",
		clickhouse.Named("epoch", epoch), clickhouse.Named("beat", r.beats.Add(1)))
	if err != nil {
		return fmt.Errorf("write that the node lives: %w", withoutAddress(err))
	}
	now, err := r.Look(ctx)
	if err == nil && now.Epoch != epoch {
		err = register.ErrMoved
	}
	return err
}

func viewName(epoch uint64) string { return viewPrefix + strconv.FormatUint(epoch, 10) }
