package schema

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// clusterHost is a machine of a cluster on which tables are made.
type clusterHost struct {
	address string
	conn    driver.Conn
}

// ClickHouse's codes where ON CLUSTER is not to be had: no Keeper is configured, no queue of statements
// in it, or the user or the server may not use it.
var noDistributedDDL = []int32{139, 225, 392}

// makeDatabase makes the database on every machine, over a connection to another one that each has. Where
// the servers cannot spread statements among themselves it returns the machines, whose connections the
// caller closes; every statement that makes or changes a table must then be run on each.
func makeDatabase(ctx context.Context, conn driver.Conn, options *clickhouse.Options, database string, l layout) ([]clusterHost, error) {
	const create = "CREATE DATABASE IF NOT EXISTS "
	err := conn.Exec(ctx, create+database+l.onCluster())
	if hasCode(err, accessDenied) && hasDatabase(ctx, conn, database) {
		// A user who may not make it may still do all that is needed in it.
		return nil, nil
	}
	if l.cluster == "" || !slices.ContainsFunc(noDistributedDDL, func(code int32) bool { return hasCode(err, code) }) {
		return nil, cannotMake(database, err)
	}
	addresses, err := clusterHosts(ctx, conn, l.cluster)
	if err != nil {
		return nil, err
	}
	// A connection with a database that is not there yet is refused.
	hosts, err := inDatabase(addresses, options, "default")
	if err == nil {
		err = onEach(ctx, hosts, create+database)
	}
	if err = errors.Join(err, closeHosts(hosts)); err != nil {
		return nil, cannotMake(database, err)
	}
	return inDatabase(addresses, options, database)
}

// clusterHosts asks for the machines of a cluster, as the servers know them: where they listen for
// ClickHouse's native protocol.
func clusterHosts(ctx context.Context, conn driver.Conn, cluster string) (addresses []string, err error) {
	rows, err := conn.Query(ctx, "SELECT DISTINCT host_name, port FROM system.clusters WHERE cluster = {cluster:String} ORDER BY host_name, port",
		clickhouse.Named("cluster", cluster))
	if err != nil {
		return nil, fmt.Errorf("look for the hosts of the cluster %s: %w", cluster, err)
	}
	err = eachStruct(rows, "look for the hosts of a cluster", func(r struct {
		Host string `ch:"host_name"`
		Port uint16 `ch:"port"`
	}) {
		addresses = append(addresses, net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port))))
	})
	return addresses, err
}

// inDatabase makes connections, none of which is dialled yet, to a database of machines.
func inDatabase(addresses []string, options *clickhouse.Options, database string) (hosts []clusterHost, err error) {
	for _, address := range addresses {
		conn, err := clickhouse.Open(nativeOptions(options, address, database))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open a connection to the cluster's host %s: %w", address, err), closeHosts(hosts))
		}
		hosts = append(hosts, clusterHost{address, conn})
	}
	return hosts, nil
}

func closeHosts(hosts []clusterHost) (err error) {
	for _, host := range hosts {
		err = errors.Join(err, host.conn.Close())
	}
	return err
}

// nativeOptions are those of a connection to a machine by ClickHouse's native protocol, with TLS where
// the other one has it.
func nativeOptions(options *clickhouse.Options, address, database string) *clickhouse.Options {
	native := &clickhouse.Options{
		Protocol: clickhouse.Native, Addr: []string{address}, Auth: options.Auth, DialTimeout: options.DialTimeout,
		MaxOpenConns: 1, MaxIdleConns: 1, Logger: discardLog,
	}
	native.Auth.Database = database
	if options.TLS != nil {
		native.TLS = options.TLS.Clone()
	}
	return native
}

// onEach runs a statement on each machine and goes on where one fails, so that it is done on as many as
// can be.
func onEach(ctx context.Context, hosts []clusterHost, statement string) (err error) {
	for _, host := range hosts {
		if failed := host.conn.Exec(ctx, statement); failed != nil {
			err = errors.Join(err, fmt.Errorf("on the cluster's host %s: %w", host.address, failed))
		}
	}
	return err
}

// define runs a statement that makes or changes tables, on every machine.
func (db *DB) define(ctx context.Context, statement string) error {
	if db.hosts == nil {
		return db.conn.Exec(ctx, statement)
	}
	return onEach(ctx, db.hosts, statement)
}

// findReplication finds out whether the tables of a cluster are to be Replicated: they can be where the
// servers have a Keeper and the macros that tell one replica from another.
func findReplication(ctx context.Context, conn driver.Conn) (bool, error) {
	var keeper, macros uint64
	err := conn.QueryRow(ctx, `SELECT (SELECT count() FROM system.tables WHERE database = 'system' AND name = 'zookeeper'),
  (SELECT count() FROM system.macros WHERE macro IN ('shard', 'replica'))`).Scan(&keeper, &macros)
	if err != nil {
		return false, fmt.Errorf("find out whether the cluster has a Keeper: %w", err)
	}
	return keeper > 0 && macros == 2, nil
}

// checkCluster fails when the server knows no cluster of the name.
func checkCluster(ctx context.Context, conn driver.Conn, cluster string) error {
	var hosts uint64
	err := conn.QueryRow(ctx, "SELECT count() FROM system.clusters WHERE cluster = {cluster:String}", clickhouse.Named("cluster", cluster)).Scan(&hosts)
	if err != nil {
		return fmt.Errorf("look for the cluster %s: %w", cluster, err)
	}
	if hosts == 0 {
		return fmt.Errorf("the ClickHouse server knows no cluster %q: name one of those that SELECT cluster FROM system.clusters lists", cluster)
	}
	return nil
}

// accessDenied is ClickHouse's ACCESS_DENIED.
const accessDenied = 497

func hasDatabase(ctx context.Context, conn driver.Conn, database string) bool {
	var found uint64
	err := conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = {database:String}", clickhouse.Named("database", database)).Scan(&found)
	return err == nil && found > 0
}

// cannotMake says what to do about a database that could not be made; err may be nil.
func cannotMake(database string, err error) error {
	switch {
	case err == nil:
		return nil
	case hasCode(err, accessDenied):
		return fmt.Errorf("the ClickHouse user may not create the database %s: grant it the right, or create the database and grant it all rights there", database)
	}
	return fmt.Errorf("create the database %s: %w", database, reason(err))
}
