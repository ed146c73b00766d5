package schema

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/schema/lease"
)

// writerLeaseTable keeps who writes to the database: a row for each process that has claimed an epoch, which the beats of the
// one that holds it replace. What is inserted is seen by every select that begins afterwards, so of several who claim an epoch
// and then look, one at most sees no other. Changing the definition of a table would be a shorter compare-and-set, but on a
// full disk it leaves a definition that ClickHouse cannot read any more (seen in 26.7).
//
// On a cluster it lies on one host, the first by name and port, which is the same for all.
var writerLeaseTable = table{
	name: "writer_lease",
	columns: `    epoch UInt64,
    claim String,
    beat UInt64,
    holder String`,
	engine: "ReplacingMergeTree(beat)",
	tail:   "ORDER BY (epoch, claim)",
}

// WriterRegister is a lease.Register in ClickHouse. It is safe for concurrent use, also by several processes.
type WriterRegister struct {
	conn  driver.Conn
	owned bool // conn is its own
}

// OpenWriterRegister makes the register if it is absent. The caller closes it before the DB.
func (db *DB) OpenWriterRegister(ctx context.Context) (*WriterRegister, error) {
	r, err := db.FindWriterRegister(ctx)
	if err != nil {
		return nil, err
	}
	for _, statement := range (layout{fsync: db.layout.fsync}).ddl(writerLeaseTable) {
		if err := r.conn.Exec(ctx, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("make the table %s: %w", writerLeaseTable.name, withoutAddress(err)), r.Close())
		}
	}
	return r, nil
}

// FindWriterRegister is OpenWriterRegister that makes nothing. Look returns the zero View where nobody has ever written.
func (db *DB) FindWriterRegister(ctx context.Context) (*WriterRegister, error) {
	r := &WriterRegister{conn: db.conn.Conn}
	if db.layout.cluster == "" {
		return r, nil
	}
	addresses, err := clusterHosts(ctx, db.conn, db.layout.cluster)
	if err != nil {
		return nil, err
	}
	hosts, err := inDatabase(addresses[:1], db.options, db.database)
	if err != nil {
		return nil, err
	}
	r.conn, r.owned = hosts[0].conn, true
	return r, nil
}

// Close ends the connections of its own.
func (r *WriterRegister) Close() error {
	if !r.owned {
		return nil
	}
	return r.conn.Close()
}

// Look implements lease.Register.
func (r *WriterRegister) Look(ctx context.Context) (view lease.View, err error) {
	rows, err := r.conn.Query(ctx, "SELECT epoch, holder FROM writer_lease FINAL WHERE epoch >= (SELECT max(epoch) FROM writer_lease WHERE holder != '') ORDER BY epoch")
	if hasCode(err, codeUnknownTable) {
		return view, nil
	}
	if err != nil {
		return view, fmt.Errorf("read who writes: %w", withoutAddress(err))
	}
	var holder string
	err = eachStruct(rows, "read who writes", func(row struct {
		Epoch  uint64 `ch:"epoch"`
		Holder string `ch:"holder"`
	}) {
		view.Epoch = row.Epoch
		if row.Holder != "" {
			holder = row.Holder
		}
	})
	if err == nil && holder != "" {
		err = json.Unmarshal([]byte(holder), &view.Holder)
	}
	if err != nil {
		return lease.View{}, fmt.Errorf("read who writes: %w", withoutAddress(err))
	}
	return view, nil
}

// Swap implements lease.Register.
func (r *WriterRegister) Swap(ctx context.Context, epoch uint64, claim string) error {
	if err := r.insert(ctx, epoch+1, claim, 0, ""); err != nil {
		return err
	}
	return r.check(ctx, "SELECT count() FROM writer_lease WHERE epoch > {epoch:UInt64} OR epoch = {epoch:UInt64} AND claim != {claim:String}", epoch+1, claim)
}

// Beat implements lease.Register.
func (r *WriterRegister) Beat(ctx context.Context, epoch uint64, holder lease.Holder) error {
	text, err := json.Marshal(holder)
	if err != nil {
		return fmt.Errorf("encode who holds the lease: %w", err)
	}
	if err := r.insert(ctx, epoch, holder.Claim, holder.Beat, string(text)); err != nil {
		return err
	}
	return r.check(ctx, "SELECT count() FROM writer_lease WHERE epoch > {epoch:UInt64}", epoch, holder.Claim)
}

func (r *WriterRegister) insert(ctx context.Context, epoch uint64, claim string, beat uint64, holder string) error {
	err := r.conn.Exec(ctx, "INSERT INTO writer_lease (epoch, claim, beat, holder) SELECT {epoch:UInt64}, {claim:String}, {beat:UInt64}, {holder:String}",
		clickhouse.Named("epoch", epoch), clickhouse.Named("claim", claim), clickhouse.Named("beat", beat), clickhouse.Named("holder", holder))
	if err != nil {
		return fmt.Errorf("write who holds the lease: %w", withoutAddress(err))
	}
	return nil
}

// check fails with lease.ErrMoved where a query counts anything.
func (r *WriterRegister) check(ctx context.Context, query string, epoch uint64, claim string) error {
	var others uint64
	if err := r.conn.QueryRow(ctx, query, clickhouse.Named("epoch", epoch), clickhouse.Named("claim", claim)).Scan(&others); err != nil {
		return fmt.Errorf("read who writes: %w", withoutAddress(err))
	}
	if others > 0 {
		return lease.ErrMoved
	}
	return nil
}
