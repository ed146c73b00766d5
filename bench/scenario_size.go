package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"lastseen/bench/dataset"
	"lastseen/bench/rival"
	"lastseen/schema"
	"lastseen/schema/embedded"
)

const (
	mostBytesAPoint = 9.0
	sizeSessions    = 1000
	sizePoints      = 1000 // of each session
)

// size measures what a point takes on the disk, column by column, beside the same points in
// PostgreSQL: for the simulated fleet, every column of which is filled, and for the data directories
// that Config.SizeDirs names, into which something was imported and which no service has open.
func size(ctx context.Context, s *suite, o *Outcome) error {
	fleet := s.spec
	fleet.Sessions, fleet.PointsPerSession = min(sizeSessions, fleet.Sessions), sizePoints
	if err := s.loadData(ctx, "size", fleet); err != nil {
		return err
	}
	address, stop, err := s.sizeDatabase(ctx, o)
	if err != nil {
		return err
	}
	o.Settings = append(o.Settings, fmt.Sprintf("the fleet: %s sessions of %s points, every column filled", thousands(float64(fleet.Sessions)), thousands(sizePoints)),
		"after all merges; PostgreSQL with an index on (session_id, timestamp desc), after VACUUM")
	err = s.sizeOf(ctx, o, "fleet", filepath.Join(s.dir, "size", "data"), address)
	for _, dir := range s.config.SizeDirs {
		if err == nil {
			err = s.sizeOf(ctx, o, filepath.Base(dir), dir, address)
		}
	}
	if err == nil {
		found := o.Figures["fleet_bytes_per_point"]
		o.verdict("bytes a point of the fleet", fmt.Sprintf("at most %.0f", mostBytesAPoint), fmt.Sprintf("%.2f", found), found <= mostBytesAPoint)
	}
	return errors.Join(err, stop())
}

// sizeDatabase starts PostgreSQL where it is installed; its address is empty where it is not.
func (s *suite) sizeDatabase(ctx context.Context, o *Outcome) (address string, stop func() error, err error) {
	bin, absent := findPostgres()
	if absent == "" {
		credential, why := postgresUser()
		if absent = why; absent == "" {
			p, address, err := s.startDatabase(ctx, "size-postgres", bin, credential)
			if err != nil {
				return "", nil, err
			}
			o.Versions = append(o.Versions, programVersion(filepath.Join(bin, "postgres"), "--version"))
			return address, p.stop, nil
		}
	}
	o.note("Left out: PostgreSQL (" + absent + ").")
	return "", func() error { return nil }, nil
}

// sizeOf measures the points of one data directory.
func (s *suite) sizeOf(ctx context.Context, o *Outcome, name, dir, postgres string) (err error) {
	s.say("measuring %s", name)
	engine, err := embedded.Open(filepath.Join(dir, "clickhouse"), embedded.Options{Connections: 4})
	if err != nil {
		return fmt.Errorf("open the data directory %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	table, points, bytes, err := columnSizes(ctx, engine)
	if err != nil {
		return err
	}
	if points == 0 {
		return fmt.Errorf("the data directory %s holds no data points", dir)
	}
	table.Title = fmt.Sprintf("%s: %s points, bytes a point", name, thousands(points))
	o.figure(name+"_bytes_per_point", bytes/points)
	if postgres != "" {
		db, err := schema.OpenOn(ctx, engine, schema.Options{Database: dataset.Database})
		if err != nil {
			return err
		}
		defer db.Close() // the engine's data is complete without it
		all, err := db.ReadReceivedSince(ctx, 0)
		if err != nil {
			return err
		}
		defer all.Close() // it has been read to its end, or there is an error already
		measured, err := rival.MeasurePostgres(ctx, postgres, all)
		if err != nil {
			return err
		}
		each := func(n int64) string { return fmt.Sprintf("%.1f", float64(n)/float64(measured.Points)) }
		table.Rows = append(table.Rows, []string{"PostgreSQL, table and index", each(measured.Table + measured.Index)},
			[]string{"PostgreSQL, table alone", each(measured.Table)})
		o.figure(name+"_postgres_bytes_per_point", float64(measured.Table+measured.Index)/float64(measured.Points))
	}
	o.Tables = append(o.Tables, table)
	return nil
}

// columnSizes merges the data points and returns what each column takes, and all with the marks and
// the index.
func columnSizes(ctx context.Context, engine *embedded.Engine) (table Table, points, bytes float64, err error) {
	conn, err := clickhouse.Open(engine.ClientOptions(dataset.Database))
	if err != nil {
		return table, 0, 0, fmt.Errorf("connect to the engine: %w", err)
	}
	defer conn.Close()
	if err := conn.Exec(ctx, "OPTIMIZE TABLE session_by_device_data_points FINAL"); err != nil {
		return table, 0, 0, fmt.Errorf("merge the data points: %w", err)
	}
	var rows, onDisk uint64
	err = conn.QueryRow(ctx, `SELECT sum(rows), sum(bytes_on_disk) FROM system.parts
WHERE active AND database = currentDatabase() AND table = 'session_by_device_data_points'`).Scan(&rows, &onDisk)
	if err != nil {
		return table, 0, 0, fmt.Errorf("ask for the size of the data points: %w", err)
	}
	points, bytes = float64(rows), float64(onDisk)
	table = Table{Header: []string{"", "bytes a point"}, Rows: [][]string{{"**lastseen**, all", fmt.Sprintf("%.2f", bytes/points)}}}
	found, err := conn.Query(ctx, `SELECT column, sum(column_bytes_on_disk) AS bytes FROM system.parts_columns
WHERE active AND database = currentDatabase() AND table = 'session_by_device_data_points' GROUP BY column ORDER BY bytes DESC`)
	if err != nil {
		return table, 0, 0, fmt.Errorf("ask for the sizes of the columns: %w", err)
	}
	defer found.Close()
	for found.Next() {
		var column string
		var size uint64
		if err := found.Scan(&column, &size); err != nil {
			return table, 0, 0, fmt.Errorf("read the sizes of the columns: %w", err)
		}
		table.Rows = append(table.Rows, []string{strings.Repeat(" ", 2) + column, fmt.Sprintf("%.2f", float64(size)/points)})
	}
	return table, points, bytes, found.Err()
}
