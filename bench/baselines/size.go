package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/bench/baseline"
	"lastseen/bench/baselines/postgres"
	"lastseen/bench/dataset"
)

// measureSizes merges a store's points and writes what they take there and, where it is wanted, in PostgreSQL.
func measureSizes(ctx context.Context, config baseline.Config) (err error) {
	store, err := config.Store.Open(ctx, 4)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	sizes, err := columnSizes(ctx, store.Conn)
	if err != nil {
		return err
	}
	if config.PostgresURL != "" && sizes.Points > 0 {
		if err := inPostgres(ctx, store, config.PostgresURL, sizes); err != nil {
			return err
		}
	}
	return writeResult(config.Result, sizes)
}

// writeResult writes what a task has found as JSON.
func writeResult(path string, found any) error {
	text, err := json.Marshal(found)
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

func inPostgres(ctx context.Context, store *dataset.Opened, address string, sizes *baseline.Sizes) error {
	all, err := store.DB.ReadReceivedSince(ctx, 0)
	if err != nil {
		return err
	}
	defer all.Close() // it has been read to its end, or there is an error already
	points, err := postgres.Measure(ctx, address, all, sizes)
	if err == nil && points != sizes.Points {
		err = fmt.Errorf("PostgreSQL got %d of %d points", points, sizes.Points)
	}
	return err
}

// columnSizes merges the data points and returns what each column takes, and all with the marks and the index.
func columnSizes(ctx context.Context, conn driver.Conn) (*baseline.Sizes, error) {
	if err := conn.Exec(ctx, "OPTIMIZE TABLE session_by_device_data_points FINAL"); err != nil {
		return nil, fmt.Errorf("merge the data points: %w", err)
	}
	var rows, onDisk uint64
	err := conn.QueryRow(ctx, `SELECT sum(rows), sum(bytes_on_disk) FROM system.parts
WHERE active AND database = currentDatabase() AND table = 'session_by_device_data_points'`).Scan(&rows, &onDisk)
	if err != nil {
		return nil, fmt.Errorf("ask for the size of the data points: %w", err)
	}
	sizes := &baseline.Sizes{Points: int64(rows), Bytes: int64(onDisk)}
	found, err := conn.Query(ctx, `SELECT column, sum(column_bytes_on_disk) AS bytes FROM system.parts_columns
WHERE active AND database = currentDatabase() AND table = 'session_by_device_data_points' GROUP BY column ORDER BY bytes DESC`)
	if err != nil {
		return nil, fmt.Errorf("ask for the sizes of the columns: %w", err)
	}
	defer found.Close()
	for found.Next() {
		var column string
		var size uint64
		if err := found.Scan(&column, &size); err != nil {
			return nil, fmt.Errorf("read the sizes of the columns: %w", err)
		}
		sizes.Columns = append(sizes.Columns, baseline.Column{Name: column, Bytes: int64(size)})
	}
	return sizes, found.Err()
}
