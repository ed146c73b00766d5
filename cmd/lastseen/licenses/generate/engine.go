package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/klauspost/compress/zstd"

	"lastseen/schema/embedded"
)

// engineNotices returns the notices of libchdb, compressed: ClickHouse lists the libraries that it is made of with their
// licences in a table of its own.
func engineNotices() (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "lastseen-licences-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	engine, err := embedded.Open(dir, embedded.Options{Connections: 1})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	conn, err := clickhouse.Open(engine.ClientOptions(""))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var libraries []struct {
		Name string `ch:"library_name"`
		Kind string `ch:"license_type"`
		Text string `ch:"license_text"`
	}
	const query = "SELECT library_name, license_type, license_text FROM system.licenses ORDER BY library_name"
	if err := conn.Select(context.Background(), &libraries, query); err != nil {
		return nil, fmt.Errorf("ask the engine for its licences: %w", err)
	}
	owned := map[string][]string{}
	for _, library := range libraries {
		add(owned, fmt.Sprintf("%s, in libchdb (%s)", library.Name, library.Kind), library.Text)
	}
	heading := fmt.Sprintf("libchdb %s is ClickHouse, under the Apache License 2.0, and %d libraries:\n\n", embedded.EngineVersion, len(libraries))
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return encoder.EncodeAll(append([]byte(heading), write(owned)...), nil), nil
}
