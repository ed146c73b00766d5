package schema

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// layout says how tables are made: on one machine, or on those of a cluster, Replicated ones or not.
type layout struct {
	cluster string
	// replicated is whether the tables of a cluster are Replicated ones, findReplicated whether that is not
	// known yet.
	replicated, findReplicated bool
	// hostByHost is set where statements that make tables are run on every host of a cluster.
	hostByHost bool
	fsync      bool
	retention  time.Duration // 0 for ever
	// diskReserve is the free space below which no data points are written, in bytes.
	diskReserve int64
}

var clusterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)

func newLayout(options Options) (layout, error) {
	if options.Cluster != "" && !clusterName.MatchString(options.Cluster) {
		return layout{}, fmt.Errorf("the cluster name %q must consist of letters, digits, '.', '_' and '-'", options.Cluster)
	}
	if err := checkRetention(options.Retention); err != nil {
		return layout{}, err
	}
	if options.DiskReserve < 0 {
		return layout{}, errors.New("the disk reserve must be 0 bytes or more")
	}
	return layout{
		cluster: options.Cluster, findReplicated: options.Replicated == nil, replicated: options.Replicated == nil || *options.Replicated,
		fsync: !options.NoFsync, retention: options.Retention, diskReserve: options.DiskReserve,
	}, nil
}

// find finds out what the options leave open of a cluster, which must be there.
func (l *layout) find(ctx context.Context, conn driver.Conn) (err error) {
	if err := checkCluster(ctx, conn, l.cluster); err != nil || !l.findReplicated {
		return err
	}
	l.replicated, err = findReplication(ctx, conn)
	return err
}

func (l layout) onCluster() string {
	if l.cluster == "" || l.hostByHost {
		return ""
	}
	return " ON CLUSTER `" + l.cluster + "`"
}

// everywhere is a system table with the rows of every machine.
func (l layout) everywhere(system string) string {
	if l.cluster == "" {
		return system
	}
	return "clusterAllReplicas(`" + l.cluster + "`, " + system + ")"
}

// local is the name of the table that holds a table's rows on each machine.
func (l layout) local(t table) string {
	if l.cluster == "" {
		return t.name
	}
	return t.name + "_local"
}

// settings are those of every statement. Over a cluster an insert must have reached its shard, and a
// majority of the replicas there, before it counts as done; by default neither is waited for.
func (l layout) settings() clickhouse.Settings {
	switch {
	case l.cluster == "":
		return nil
	case !l.replicated:
		return clickhouse.Settings{"distributed_foreground_insert": 1}
	}
	return clickhouse.Settings{
		"distributed_foreground_insert": 1, "insert_quorum": "auto",
		// A select waits for what a quorum has only where quorum inserts come one after the other.
		"insert_quorum_parallel": 0, "select_sequential_consistency": 1,
	}
}

// table is a table's definition, from which its DDL follows for either layout.
type table struct {
	name string
	// columns is the body between the parentheses, one line a column or index.
	columns string
	// engine is the MergeTree family member with its arguments, e.g. ReplacingMergeTree(version).
	engine string
	// tail is PARTITION BY and ORDER BY.
	tail string
	// settings are table settings beside the fsync ones.
	settings []string
	// shardBy is the sharding expression of the Distributed table: rows that must meet in one
	// merge have to share a shard.
	shardBy string
}

// ddl returns the statements that make the table; each may run any number of times.
func (l layout) ddl(t table) []string {
	settings := t.settings
	if l.fsync {
		// The part's files and, through the directory, its name: without the latter a renamed
		// part can be missing after a power cut.
		settings = append([]string{"fsync_after_insert = 1", "fsync_part_directory = 1"}, settings...)
	}
	name, engine := l.local(t), t.engine
	if l.cluster != "" && l.replicated {
		engine = replicated(t.engine)
	}
	statement := fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s\n(\n%s\n)\nENGINE = %s\n%s",
		name, l.onCluster(), strings.TrimRight(t.columns, "\n"), engine, t.tail)
	if len(settings) > 0 {
		statement += "\nSETTINGS " + strings.Join(settings, ", ")
	}
	if l.cluster == "" {
		return []string{statement}
	}
	distributed := fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s AS %s\nENGINE = Distributed(`%s`, currentDatabase(), %s, %s)",
		t.name, l.onCluster(), name, l.cluster, name, t.shardBy)
	return []string{statement, distributed}
}

// replicated turns ReplacingMergeTree(version) into ReplicatedReplacingMergeTree('…', '{replica}', version).
func replicated(engine string) string {
	name, arguments, _ := strings.Cut(strings.TrimSuffix(engine, ")"), "(")
	all := "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
	if arguments != "" {
		all += ", " + arguments
	}
	return "Replicated" + name + "(" + all + ")"
}
