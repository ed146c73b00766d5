package schema

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema/health"
	"lastseen/schema/measure"
)

// statementKind is what a statement is for.
type statementKind uint8

const (
	kindQuery statementKind = iota
	kindInsert
	kindExec // small inserts and what changes the layout
	kindCount
)

var kindNames = [kindCount]string{"query", "insert", "exec"}

// countedConn counts the statements that go through a connection and those that fail, of which it tells the
// monitor. What fails because its caller has left, or has set a limit that the result passes, is not counted
// as a failure. Queries are tried again where their connection was lost.
type countedConn struct {
	driver.Conn
	counts  *statementCounts
	monitor *health.Monitor
	retries int          // of a statement whose connection was lost
	guard   func() error // says why nothing may be written; nil for nothing
	gone    func()       // is told of statements that fail as Gone says; nil for nobody
}

// errMayNotWrite is in the chain of what mayWrite returns.
var errMayNotWrite = errors.New("this node may not write at present")

// mayWrite returns why nothing may be written now: what is wrong with ClickHouse, where that is known.
func (c *countedConn) mayWrite() error {
	if c.guard == nil {
		return nil
	}
	err := c.guard()
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: %w", errMayNotWrite, err)
	if trouble := c.monitor.Trouble(); trouble != nil {
		return fmt.Errorf("%w (%w)", trouble, err)
	}
	return &Error{Code: Unavailable, Sentence: "This node may not write at present, and nothing was stored; send the same request again in a few seconds.", Cause: err}
}

// mightWriteStill is asked when a statement has succeeded. Where the right to write ended meanwhile, another process may have begun
// before this one's statement counted, and does not know of it: so it is not said to have succeeded, and was begun all the same.
func (c *countedConn) mightWriteStill() error {
	if c.guard == nil {
		return nil
	}
	err := c.guard()
	if err == nil {
		return nil
	}
	return &Error{Code: Unavailable, Sentence: "This node lost the right to write meanwhile, so it is not known whether this was stored; send the same request again in a few seconds.", Cause: err}
}

// GuardWrites makes every statement that writes ask first whether it may, and at its end whether it might still, and fail with
// Unavailable otherwise. It is called before the DB is shared.
func (db *DB) GuardWrites(may func() error) { db.conn.guard = may }

// TellGone makes a function be called for every statement that fails as Gone says. It is called before the DB is shared.
func (db *DB) TellGone(tell func()) { db.conn.gone = tell }

type statementCounts struct {
	begun, failed [kindCount]measure.Counter
}

// done counts a statement and hands its error on.
func (c *countedConn) done(kind statementKind, err error) error {
	c.counts.begun[kind].Add(1)
	return c.failure(kind, err)
}

// failure counts the error of a statement that is counted already, and hands it on.
func (c *countedConn) failure(kind statementKind, err error) error {
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, io.EOF) && !tooManyRows(err) {
		c.counts.failed[kind].Add(1)
	}
	if err != nil && !errors.Is(err, context.Canceled) && !tooManyRows(err) {
		c.monitor.Suspect(kind != kindQuery)
		if c.gone != nil && Gone(err) {
			c.gone()
		}
	}
	return withoutAddress(err)
}

// hasCode reports whether an error is an exception of ClickHouse's with a code.
func hasCode(err error, code int32) bool {
	exception, ok := errors.AsType[*clickhouse.Exception](err)
	return ok && exception.Code == code
}

// Exec counts a statement without a result. It is not tried again, for it may be one that counts twice.
func (c *countedConn) Exec(ctx context.Context, query string, args ...any) error {
	if err := c.mayWrite(); err != nil {
		return err
	}
	ctx, end := traced(ctx, kindExec)
	err := c.Conn.Exec(ctx, query, args...)
	end(err)
	if err != nil {
		return c.done(kindExec, err)
	}
	return c.done(kindExec, c.mightWriteStill())
}

// Query counts a query.
func (c *countedConn) Query(ctx context.Context, query string, args ...any) (rows driver.Rows, err error) {
	ctx, end := traced(ctx, kindQuery)
	defer func() { end(err) }()
	err = c.again(ctx, func() (err error) {
		rows, err = c.Conn.Query(ctx, query, args...)
		return err
	})
	return rows, c.done(kindQuery, err)
}

// QueryRow counts a query of one row.
func (c *countedConn) QueryRow(ctx context.Context, query string, args ...any) (row driver.Row) {
	ctx, end := traced(ctx, kindQuery)
	err := c.again(ctx, func() error {
		row = c.Conn.QueryRow(ctx, query, args...)
		return row.Err()
	})
	end(err)
	c.done(kindQuery, err)
	return namedRow{row}
}

// QueryFormat counts a query whose result is streamed.
func (c *countedConn) QueryFormat(ctx context.Context, format, query string, args ...any) (body io.ReadCloser, err error) {
	ctx, end := traced(ctx, kindQuery)
	defer func() { end(err) }()
	err = c.again(ctx, func() (err error) {
		body, err = c.Conn.QueryFormat(ctx, format, query, args...)
		return err
	})
	return body, c.done(kindQuery, err)
}

// StatementStats counts the statements of one kind since the DB was opened.
type StatementStats struct {
	Kind   string // query, insert or exec
	Begun  uint64
	Failed uint64 // of those, also half way through the result
}

// Stats returns the counts of every kind of statement. It is safe for concurrent use.
func (db *DB) Stats() []StatementStats {
	stats := make([]StatementStats, kindCount)
	for kind, name := range kindNames {
		stats[kind] = StatementStats{Kind: name, Begun: uint64(db.counts.begun[kind].Value()), Failed: uint64(db.counts.failed[kind].Value())}
	}
	return stats
}
