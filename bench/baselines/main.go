// Command lastseen-baselines serves what lastseen is compared with, loads data sets, and measures what they
// take on the disk. The load suite starts it; see package baseline.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"lastseen/bench/baseline"
	"lastseen/bench/baselines/naive"
	"lastseen/bench/baselines/postgres"
	"lastseen/bench/dataset"
	"lastseen/bench/record"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", baseline.Program, err)
		os.Exit(1)
	}
}

// run does one task.
func run(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == baseline.Versions {
		for _, line := range record.Versions() {
			fmt.Println(line)
		}
		return nil
	}
	if len(args) != 2 {
		return errors.New("the load suite starts this program with a task and the file that holds its settings: run `lastseen bench`")
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	var config baseline.Config
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("decode the settings: %w", err)
	}
	switch args[0] {
	case baseline.Serve:
		return serve(ctx, config)
	case baseline.Load:
		return load(ctx, config)
	case baseline.FillRedis:
		return fillRedis(ctx, config.RedisAddress, config.Dataset)
	case baseline.Size:
		return measureSizes(ctx, config)
	case baseline.HandOut:
		return measureHandOut(ctx, config)
	}
	return fmt.Errorf("there is no task %q", args[0])
}

// serve serves a baseline until ctx ends.
func serve(ctx context.Context, config baseline.Config) error {
	switch config.Name {
	case baseline.Bare:
		return listen(ctx, config.Address, bare(config.Constant))
	case baseline.Naive:
		n, err := naive.Open(ctx, config)
		if err != nil {
			return err
		}
		return errors.Join(listen(ctx, config.Address, n.Handle), n.Close())
	case baseline.Postgres:
		p, err := postgres.Open(ctx, config)
		if err != nil {
			return err
		}
		defer p.Close()
		return listen(ctx, config.Address, p.Handle)
	}
	return fmt.Errorf("there is no baseline %q to serve", config.Name)
}

// loadConnections is how many statements loading has at a time.
const loadConnections = 2

func load(ctx context.Context, config baseline.Config) error {
	store, err := config.Store.Open(ctx, loadConnections)
	if err != nil {
		return err
	}
	return errors.Join(dataset.Load(ctx, store, config.Dataset), store.Close())
}
