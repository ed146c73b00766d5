package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"lastseen/bench/baseline"
	"lastseen/schema"
)

// handOuts is how many times the rows are handed out: the first time from files that nobody has read yet.
const handOuts = 3

// measureHandOut writes how long ClickHouse alone takes to hand out what a start of the service reads.
func measureHandOut(ctx context.Context, config baseline.Config) (err error) {
	store, err := config.Store.Open(ctx, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var found baseline.HandedOut
	for range handOuts {
		began := time.Now()
		if found.Bytes, err = handOut(ctx, store.Conn); err != nil {
			return err
		}
		found.Seconds = append(found.Seconds, time.Since(began).Seconds())
	}
	return writeResult(config.Result, found)
}

func handOut(ctx context.Context, conn driver.Conn) (bytes int64, err error) {
	for _, statement := range schema.ReadsAtStart() {
		rows, err := conn.QueryFormat(ctx, "Native", statement)
		if err != nil {
			return 0, fmt.Errorf("hand out rows: %w", err)
		}
		n, err := io.Copy(io.Discard, rows)
		if err = errors.Join(err, rows.Close()); err != nil {
			return 0, fmt.Errorf("hand out rows: %w", err)
		}
		bytes += n
	}
	return bytes, nil
}
