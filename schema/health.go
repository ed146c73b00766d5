package schema

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema/health"
)

// Trouble returns what keeps ClickHouse from serving, nil when nothing is known to. It costs no statement.
func (db *DB) Trouble() *health.Trouble { return db.monitor.Trouble() }

// NeverBegun reports whether an error is that of a statement that ClickHouse has never seen.
func NeverBegun(err error) bool { return health.NotSent(err) || errors.Is(err, errMayNotWrite) }

// monitored starts the monitor of a connection whose statements are not counted.
func monitored(conn driver.Conn, hosts *health.Hosts, l layout, log *slog.Logger) *health.Monitor {
	ask := "SELECT 1"
	if l.cluster != "" {
		ask = askShards
	}
	run := func(statement string) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := conn.Exec(ctx, statement); !hasCode(err, codeUnknownTable) { // it is not made yet
				return withoutAddress(err)
			}
			return nil
		}
	}
	return health.Start(health.Config{Hosts: hosts, Log: log, Ask: run(ask), Sharded: l.cluster != "", Write: run(writeAgain)})
}

// codeUnknownTable is ClickHouse's UNKNOWN_TABLE.
const codeUnknownTable = 60

// askShards looks for a session that there cannot be, on every shard of a cluster.
var askShards = "SELECT session_id FROM " + dataPointsTable.name + " WHERE session_id = '' LIMIT 1"

// writeAgain writes some point as it is, which changes nothing: rows of one version are one. Like every
// insert of points it needs the rights, the room on the disk, few enough parts, and all shards.
var writeAgain = fmt.Sprintf("INSERT INTO %[1]s (%[2]s) SELECT %[2]s FROM %[1]s LIMIT 1", dataPointsTable.name, pointSelect+", org_id, device_id")

// withoutAddress leaves the request's address out of an error: it is long, and holds the statement's
// parameters.
func withoutAddress(err error) error {
	request, is := errors.AsType[*url.Error](err)
	if !is {
		return err
	}
	host := "ClickHouse"
	if address, parsed := url.Parse(request.URL); parsed == nil {
		host += " at " + address.Host
	}
	return fmt.Errorf("ask %s: %w", host, request.Err)
}

// lost reports whether a statement has failed because its connection broke, or could not be made.
func lost(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, clickhouse.ErrAcquireConnTimeout) {
		return false
	}
	if _, answered := errors.AsType[*clickhouse.HTTPError](err); answered {
		return false
	}
	_, broke := errors.AsType[*url.Error](err)
	return broke || errors.Is(err, io.ErrUnexpectedEOF)
}

// again tries a statement that may run twice again where its connection was lost: the driver's pool has
// connections to hosts that are gone meanwhile. The error is that of an attempt which ClickHouse may have
// seen, if there was one.
func (c *countedConn) again(ctx context.Context, try func() error) error {
	err := try()
	seen := err
	for range c.retries {
		if !lost(err) || ctx.Err() != nil || c.monitor.Trouble() != nil {
			break
		}
		if err = try(); err == nil {
			return nil
		}
		if !health.NotSent(err) {
			seen = err
		}
	}
	if health.NotSent(err) {
		return seen
	}
	return err
}

// insertAgain is InsertFormat of a block, tried again where a connection was lost. Rows that are there twice
// are one.
func (db *connection) insertAgain(ctx context.Context, statement string, block *proto.Buffer) error {
	if err := db.conn.mayWrite(); err != nil {
		return err
	}
	first := true
	ctx, end := traced(ctx, kindInsert)
	err := db.conn.again(ctx, func() error {
		if !first {
			block.Buf = bytes.Clone(block.Buf) // what was lost may be reading the other still
		}
		first = false
		return db.conn.Conn.InsertFormat(ctx, "Native", statement, bytes.NewReader(block.Buf))
	})
	end(err)
	if err != nil {
		return db.conn.done(kindInsert, err)
	}
	return db.conn.done(kindInsert, db.conn.mightWriteStill())
}

// namedRow is a row whose errors leave the request's address out.
type namedRow struct{ driver.Row }

// Err implements driver.Row.
func (r namedRow) Err() error { return withoutAddress(r.Row.Err()) }

// Scan implements driver.Row.
func (r namedRow) Scan(dest ...any) error { return withoutAddress(r.Row.Scan(dest...)) }
